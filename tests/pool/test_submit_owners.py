"""Whose jobs run on whose slots, with execution points of which some are not what they say."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rehearsal.host import Host
from rehearsal.image import Images
from rehearsal.pool import DOMAIN, SITE_NAMES, Pool

SLEEP = "executable = /bin/sleep\narguments = 1\nrequest_memory = 64\nrequest_disk = 1024\n"
UNBOUND = '+AnnexRoute = "nowhere"\n'
"""With a route that isn't there nothing is launched for a job, and no router touches it."""

Join = Callable[..., Host]


def token(pool: Pool, identity: str) -> str:
    """As condor_annexd, which runs as the condor user, has it issued."""
    code = f"from annex_core.adapters.tokens import CollectorTokens; print(CollectorTokens().issue({identity!r}, 3600))"
    python = f"{pool.knob('ANNEX_PREFIX')}/bin/python"
    return pool.ap.run([python, "-c", code], user="condor").stdout.strip()


@pytest.fixture(scope="module")
def join(pool: Pool, images: Images, mount_point: Path) -> Iterator[Join]:
    """Boots an execution point with some configuration and a token, and waits for its slot."""
    hosts: list[Host] = []

    def boot(collector: str, config: str, secret: str, cpus: int = 2) -> Host:
        number = len(hosts) + 1
        address, name = f"172.31.249.{number}", f"ep{number}.{DOMAIN}"
        files = {
            "/etc/hosts": f"127.0.0.1 localhost\n{address} {name}\n{SITE_NAMES}",
            "/etc/condor/config.d/60-execution-point.config": f"""\
DAEMON_LIST = MASTER STARTD
COLLECTOR_HOST = {collector}
CCB_ADDRESS = $(COLLECTOR_HOST)
TRUST_DOMAIN = {DOMAIN}
STARTD_ATTRS = $(STARTD_ATTRS) AnnexName IsAnnex EC2InstanceID
IsAnnex = True
EC2InstanceID = "i-{number}"
NUM_CPUS = {cpus}
MEMORY = 2048
NUM_SLOTS_TYPE_1 = 1
SLOT_TYPE_1 = 100%
SLOT_TYPE_1_PARTITIONABLE = True
RUNBENCHMARKS = False
UPDATE_INTERVAL = 5
{config}
""",
        }
        host = Host(name, address, images.machine, mount_point=mount_point, files=files)
        hosts.append(host)
        host.run(["install", "-d", "-m", "700", "/etc/condor/tokens.d"])
        host.write("/etc/condor/tokens.d/joins", secret + "\n", mode=0o600)
        host.run(["condor_master"])
        pool.wait_for(lambda: pool.ads("-startd", collector, f'Machine == "{name}"'), f"the slot of {name}")
        return host

    yield boot
    for host in hosts:
        host.kill()


@pytest.fixture(scope="module")
def annexes(pool: Pool) -> str:
    return pool.knob("ANNEX_COLLECTOR_HOST")


@pytest.fixture(scope="module")
def honest(pool: Pool, join: Join, annexes: str) -> Host:
    """alice's annex cobalt."""
    start = 'AnnexName = "cobalt"\nSTART = TARGET.Owner =?= "alice" && TARGET.TargetAnnexName =?= "cobalt"'
    return join(annexes, start, token(pool, f"annex-alice.cobalt@{DOMAIN}"), cpus=4)


@pytest.fixture(scope="module")
def hostile(pool: Pool, join: Join, annexes: str) -> Host:
    """alice's annex ruby, whose root takes what it can get, under any name."""
    start = 'AnnexName = "cobalt"\nTargetAnnexName = "cobalt"\nSTART = True'
    start += '\nAuthenticatedIdentity = "annex-bob.cobalt@pool.test"'
    return join(
        annexes,
        f"{start}\nSTARTD_ATTRS = $(STARTD_ATTRS) AuthenticatedIdentity TargetAnnexName",
        token(pool, f"annex-alice.ruby@{DOMAIN}"),
    )


def submit(pool: Pool, user: str, commands: str, count: int = 1) -> int:
    return pool.submit(user, f"{SLEEP}{commands}\nqueue {count}\n")


def starts(pool: Pool, cluster: int) -> list[int]:
    return [int(job.get("NumJobStarts", 0)) for job in pool.jobs(f"ClusterId == {cluster}")]


def wait_negotiated(pool: Pool, since: int) -> None:
    """Until the annex negotiator has finished two cycles that began after *since*; the second saw every job."""
    log = f"{pool.knob('LOG')}/AnnexNegotiatorLog"

    def cycles() -> int:
        return pool.ap.read(log).count("Finished Negotiation Cycle")

    pool.wait_for(lambda: cycles() >= since + 3, "two cycles of the annex negotiator")


def cycles_so_far(pool: Pool) -> int:
    return pool.ap.read(f"{pool.knob('LOG')}/AnnexNegotiatorLog").count("Finished Negotiation Cycle")


@pytest.fixture
def clean_queue(pool: Pool) -> Iterator[None]:
    yield
    pool.ap.run(["condor_rm", "-all"], check=False)
    pool.wait_for(lambda: not pool.jobs(), "an empty queue")


pytestmark = pytest.mark.usefixtures("clean_queue")


def test_an_annex_runs_its_owner_s_jobs_on_all_its_cores_at_once(pool: Pool, honest: Host) -> None:
    long = SLEEP.replace("arguments = 1", "arguments = 1000")
    cluster = pool.submit("alice", f"{long}{UNBOUND}annex_name = cobalt\nqueue 4\n")

    def all_running() -> list[dict[str, Any]]:
        jobs = pool.jobs(f"ClusterId == {cluster} && JobStatus == 2")
        return jobs if len(jobs) == 4 else []

    jobs = pool.wait_for(all_running, "4 running jobs")
    assert {job["MachineAttrAnnexName0"] for job in jobs} == {"cobalt"}
    assert {job["RemoteHost"].partition("@")[2] for job in jobs} == {honest.name}


def test_another_owner_s_annex_of_the_same_name_is_another_annex(pool: Pool, honest: Host, hostile: Host) -> None:
    since = cycles_so_far(pool)
    cluster = submit(pool, "bob", UNBOUND + "annex_name = cobalt", 3)
    wait_negotiated(pool, since)
    assert starts(pool, cluster) == [0, 0, 0]


def test_an_annex_of_his_own_by_another_name_is_no_way_in(pool: Pool, honest: Host, hostile: Host) -> None:
    since = cycles_so_far(pool)
    cluster = submit(pool, "alice", UNBOUND + "annex_name = jade")
    wait_negotiated(pool, since)
    assert starts(pool, cluster) == [0]


class TestWhatUsersEdit:
    """Requirements that any slot would fulfil, and a claim to be of another annex."""

    def test_gets_no_job_onto_another_owner_s_slot(self, pool: Pool, honest: Host, hostile: Host) -> None:
        cluster = submit(pool, "bob", UNBOUND + "hold = True\nannex_name = ruby", 2)
        for attribute, value in {"Requirements": "TARGET.IsAnnex =?= True", "TargetAnnexName": '"ruby"'}.items():
            pool.ap.run(["condor_qedit", str(cluster), attribute, value], user="bob")
        since = cycles_so_far(pool)
        pool.ap.run(["condor_release", str(cluster)], user="bob")
        wait_negotiated(pool, since)
        assert starts(pool, cluster) == [0, 0]

    def test_gets_no_annex_job_onto_a_slot_at_home(self, pool: Pool) -> None:
        cluster = submit(pool, "bob", UNBOUND + "hold = True\nannex_name = ruby")
        pool.ap.run(["condor_qedit", str(cluster), "Requirements", "True"], user="bob")
        pool.ap.run(["condor_release", str(cluster)], user="bob")
        ordinary = submit(pool, "bob", "")
        pool.wait_for_job(ordinary)
        assert starts(pool, cluster) == [0]


class TestAHostileExecutionPoint:
    def test_still_serves_its_owner(self, pool: Pool, hostile: Host) -> None:
        cluster = submit(pool, "alice", UNBOUND + "hold = True\nannex_name = ruby", 4)
        # It says that it is cobalt, so steering keeps even its own jobs away; their owner may insist.
        pool.ap.run(["condor_qedit", str(cluster), "Requirements", "TARGET.IsAnnex =?= True"], user="alice")
        pool.ap.run(["condor_release", str(cluster)], user="alice")
        jobs = pool.wait_for_job(cluster)
        assert {job["LastRemoteHost"].partition("@")[2] for job in jobs} == {hostile.name}

    def test_gets_no_job_for_the_annex_that_it_claims_to_be(self, pool: Pool, hostile: Host) -> None:
        since = cycles_so_far(pool)
        clusters = [
            submit(pool, user, UNBOUND + "annex_name = cobalt\nrequirements = Cpus == 2") for user in ("alice", "bob")
        ]
        wait_negotiated(pool, since)
        assert [starts(pool, cluster) for cluster in clusters] == [[0], [0]]

    def test_gets_no_ordinary_job(self, pool: Pool, hostile: Host) -> None:
        """Not by a match, and not by a claim that its owner's annex jobs left behind."""
        wants = "requirements = TARGET.IsAnnex =?= True"
        ordinary = [submit(pool, user, wants, 3) for user in ("alice", "bob")]
        self.test_still_serves_its_owner(pool, hostile)
        assert [starts(pool, cluster) for cluster in ordinary] == [[0] * 3, [0] * 3]


def test_a_startd_at_the_site_that_claims_the_annex_gets_none_of_its_jobs(pool: Pool, join: Join) -> None:
    secret = pool.cm.run(["condor_token_create", "-identity", f"condor@{DOMAIN}"]).stdout.strip()
    liar = join(f"cm.{DOMAIN}", 'AnnexName = "violet"\nSTART = True', secret)
    cluster = submit(pool, "alice", UNBOUND + "annex_name = violet")
    ordinary = submit(pool, "alice", f'requirements = Machine == "{liar.name}"')
    pool.wait_for_job(ordinary)
    assert starts(pool, cluster) == [0]
    liar.kill()


def advertise(host: Host, collector: str, command: str, ad: str, user: str = "root") -> int:
    """condor_advertise's exit status."""
    host.write("/tmp/ad", ad)
    return host.run(["condor_advertise", "-pool", collector, command, "/tmp/ad"], user=user, check=False).returncode


def anything(name: str) -> str:
    """An ad that would do for every kind of daemon."""
    where = f'Machine = "{name}"\nScheddName = "{name}"\nMyAddress = "<172.31.249.9:1>"\n'
    return f'MyType = "Any"\nName = "{name}"\n{where}ScheddIpAddr = "<172.31.249.9:1>"\n'


class TestAStolenToken:
    """From alice's annex ruby, in the hands of whoever is root there."""

    def test_cannot_touch_the_site_s_slots(self, pool: Pool, hostile: Host) -> None:
        before = {slot["Name"] for slot in pool.slots()}
        invalidate = 'MyType = "Query"\nTargetType = "Machine"\nRequirements = True\n'
        assert advertise(hostile, f"cm.{DOMAIN}", "INVALIDATE_STARTD_ADS", invalidate) != 0
        assert {slot["Name"] for slot in pool.slots()} == before

    def test_cannot_bring_a_slot_into_the_site_s_pool(self, pool: Pool, hostile: Host) -> None:
        assert advertise(hostile, f"cm.{DOMAIN}", "UPDATE_STARTD_AD", anything("evil")) != 0
        assert not pool.ads("-any", None, 'Name == "evil"')

    @pytest.mark.parametrize("command", ["UPDATE_SCHEDD_AD", "UPDATE_SUBMITTOR_AD", "UPDATE_NEGOTIATOR_AD"])
    def test_speaks_for_no_daemon_but_its_own(self, pool: Pool, hostile: Host, annexes: str, command: str) -> None:
        advertise(hostile, annexes, command, anything("evil"))
        advertise(pool.ap, annexes, command, anything("friend"), user="condor")
        names = pool.wait_for(
            lambda: {ad["Name"] for ad in pool.ads("-any", annexes, 'Name == "evil" || Name == "friend"')}, "an ad"
        )
        assert names == {"friend"}

    def test_is_nobody_to_anyone_but_the_annex_collector(self, pool: Pool, hostile: Host, annexes: str) -> None:
        def known(*where: str) -> bool:
            insists = {"_CONDOR_SEC_CLIENT_AUTHENTICATION": "REQUIRED"}
            said = hostile.run(["condor_ping", *where, "-table", "READ"], env=insists, check=False).stdout
            return f"annex-alice.ruby@{DOMAIN}" in said

        schedd = pool.ads("-schedd", f"cm.{DOMAIN}")[0]["MyAddress"]
        collectors = [known("-pool", each, "-type", "COLLECTOR") for each in (annexes, f"cm.{DOMAIN}")]
        assert [*collectors, known("-address", schedd)] == [True, False, False]

    def test_opens_nothing_at_the_schedd(self, pool: Pool, hostile: Host) -> None:
        done = hostile.run(["condor_hold", "-pool", f"cm.{DOMAIN}", "-name", pool.ap.name, "-all"], check=False)
        assert done.returncode != 0


def test_an_ordinary_user_cannot_advertise_a_slot(pool: Pool, hostile: Host, annexes: str) -> None:
    advertise(pool.ap, annexes, "UPDATE_STARTD_AD", anything("bob"), user="bob")
    advertise(hostile, annexes, "UPDATE_STARTD_AD", anything("control"))
    names = pool.wait_for(
        lambda: {ad["Name"] for ad in pool.ads("-any", annexes, 'Name == "bob" || Name == "control"')}, "an ad"
    )
    assert names == {"control"}


def test_the_central_manager_never_sees_an_annex(pool: Pool, honest: Host, hostile: Host, annexes: str) -> None:
    machines = [ad["Machine"] for ad in pool.ads("-startd", annexes)]
    assert {honest.name, hostile.name} <= set(machines)
    assert not {honest.name, hostile.name} & {ad.get("Machine") for ad in pool.ads("-any")}


class TestTokens:
    def test_say_who_what_and_how_long(self, pool: Pool) -> None:
        body = token(pool, f"annex-alice.cobalt@{DOMAIN}").split(".")[1]
        said = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        assert (said["sub"], said["exp"] - said["iat"]) == (f"annex-alice.cobalt@{DOMAIN}", 3600)
        assert set(said["scope"].split()) == {"condor:/ADVERTISE_STARTD", "condor:/ADVERTISE_MASTER", "condor:/READ"}

    def test_are_not_for_users_to_issue(self, pool: Pool) -> None:
        code = (
            "from annex_core.adapters.tokens import CollectorTokens; CollectorTokens().issue('annex-alice.cobalt@x', 9)"
        )
        done = pool.ap.run([f"{pool.knob('ANNEX_PREFIX')}/bin/python", "-c", code], user="bob", check=False)
        assert "annex_core.errors.Unavailable: no token for annex-alice.cobalt@x" in done.stderr

    def test_a_missing_key_is_said_to_be_the_collector_s(self, pool: Pool) -> None:
        code = (
            "from annex_core.adapters.tokens import CollectorTokens; CollectorTokens().issue('annex-alice.cobalt@x', 9)"
        )
        done = pool.ap.run(
            [f"{pool.knob('ANNEX_PREFIX')}/bin/python", "-c", code],
            user="condor",
            env={"_CONDOR_ANNEX_SIGNING_KEY": "/nowhere/key"},
            check=False,
        )
        assert "has the annex collector started?" in done.stderr


def test_what_faces_the_internet_is_not_root(pool: Pool) -> None:
    script = "for p in /proc/[0-9]*; do grep -aq ^condor_collector $p/cmdline && grep ^Uid: $p/status; done; true"
    found = set(pool.ap.run(["sh", "-c", script]).stdout.splitlines())
    condor = pool.ap.run(["id", "-u", "condor"]).stdout.strip()
    assert found == {"\t".join(["Uid:", *[condor] * 4])}
