"""Users, hooks, slots and stolen tokens that say they are somebody else, with the daemon watching."""

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rehearsal.host import Host
from rehearsal.image import Images
from rehearsal.pool import DOMAIN, SITE_NAMES, Pool
from tests.pool.annexes import Annexes, tags

HOOK = "/opt/condor-annex/libexec/condor-annex/annex_translate"
BUCKET = "condor-annex-rehearsal"


def test_two_owners_annexes_of_one_name_are_two_and_each_runs_its_owner_s_jobs(pool: Pool, annexes: Annexes) -> None:
    clusters = {user: annexes.submit("shared", user=user, jobs=2) for user in ("alice", "bob")}
    for user, cluster in clusters.items():
        ran_on = {job["MachineAttrEC2InstanceID0"] for job in pool.wait_for_job(cluster)}
        mine = {each["InstanceId"] for each in annexes.instances("shared", user)}
        assert ran_on <= mine
    assert len({tags(each)["htcondor:Owner"] for each in annexes.instances("shared", "bob")}) == 1


def test_a_hook_that_speaks_of_another_s_job_is_refused_logged_and_launches_nothing(
    pool: Pool, annexes: Annexes
) -> None:
    job = 'ClusterId = 1000\nProcId = 0\nOwner = "alice"\nTargetAnnexName = "lied"\nAnnexProject = "alice"\n'
    since = annexes.calls_so_far()
    answer = pool.ap.run([HOOK], user="bob", input=f'[ Name = "rehearsal"; TargetUniverse = 5 ]\n------\n{job}')
    assert "The annex service takes no word from others about a job: bob speaks of a job of 'alice'" in answer.stdout
    assert "refused: bob speaks of a job of 'alice'" in annexes.log()
    pool.wait_for_job(annexes.submit("beside-lied"))
    assert {call["token"].split("_")[0][:11] for call in annexes.calls("RequestSpotFleet", since)} == {"beside-lied"}
    assert not annexes.of("lied")


Join = Callable[[str, str], Host]


@pytest.fixture
def join(annexes: Annexes, images: Images, mount_point: Path) -> Iterator[Join]:
    """Boots a machine that nobody rented, with a token of somebody's and the annex name that it claims."""
    hosts: list[Host] = []

    def boot(token: str, claims: str) -> Host:
        address, name = f"172.31.248.{len(hosts) + 1}", f"stranger{len(hosts) + 1}.{DOMAIN}"
        config = f"""\
DAEMON_LIST = MASTER STARTD
COLLECTOR_HOST = {annexes.pool.knob("ANNEX_COLLECTOR_HOST")}
CCB_ADDRESS = $(COLLECTOR_HOST)
TRUST_DOMAIN = {DOMAIN}
STARTD_ATTRS = $(STARTD_ATTRS) AnnexName IsAnnex
AnnexName = "{claims}"
IsAnnex = True
START = True
NUM_CPUS = 4
MEMORY = 4096
NUM_SLOTS_TYPE_1 = 1
SLOT_TYPE_1 = 100%
SLOT_TYPE_1_PARTITIONABLE = True
RUNBENCHMARKS = False
UPDATE_INTERVAL = 5
"""
        files = {
            "/etc/hosts": f"127.0.0.1 localhost\n{address} {name}\n{SITE_NAMES}",
            "/etc/condor/config.d/60-stranger.config": config,
        }
        host = Host(name, address, images.machine, mount_point=mount_point, files=files)
        hosts.append(host)
        host.run(["install", "-d", "-m", "700", "/etc/condor/tokens.d"])
        host.write("/etc/condor/tokens.d/stolen", token, mode=0o600)
        host.run(["condor_master"])
        return host

    yield boot
    for host in hosts:
        host.kill()


def stolen_token(annexes: Annexes, annex: str) -> str:
    """What whoever is root on a machine of alice's annex can read: from its bundle."""
    key = f"config-{annexes.of(annex)['id']}.tar.gz"
    content = annexes.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(content)) as bundle:
        member = bundle.extractfile("annex-tokens/annex")
        assert member
        return member.read().decode()


def machine_names(pool: Pool) -> set[str]:
    """Of the slots in the annex collector."""
    return {str(slot.get("Machine")) for slot in pool.slots(pool.knob("ANNEX_COLLECTOR_HOST"))}


class TestAMachineWithAStolenToken:
    @pytest.fixture
    def stranger(self, pool: Pool, annexes: Annexes, join: Join) -> Host:
        """It took the token of alice's annex looted, and claims to be of marine, as alice's and bob's are called."""
        cluster = annexes.submit("looted")
        pool.wait_for_job(cluster)
        host = join(stolen_token(annexes, "looted"), "marine")
        pool.wait_for(lambda: host.name in machine_names(pool), "the stranger's slot")
        return host

    def test_gets_nobody_s_job_and_is_reported(self, pool: Pool, annexes: Annexes, stranger: Host) -> None:
        waiting = [annexes.submit("marine", user=user, jobs=2) for user in ("alice", "bob")]
        ordinary = pool.submit("bob", "executable = /bin/sleep\narguments = 1\nrequest_memory = 64\nqueue\n")
        for cluster in (*waiting, ordinary):
            hosts = {job["LastRemoteHost"].partition("@")[2] for job in pool.wait_for_job(cluster)}
            assert not any(stranger.name in host for host in hosts)
        said = f"claims annex 'marine' but joined as annex-alice.looted@{DOMAIN}; no job goes there"
        pool.wait_for(lambda: said in str(annexes.status()["troubles"]), "the report")

    def test_is_no_room_for_the_jobs_of_the_annex_it_was_stolen_from(
        self, pool: Pool, annexes: Annexes, stranger: Host
    ) -> None:
        rented = len(annexes.instances("looted"))
        cluster = annexes.submit("looted", jobs=6, seconds=1000)
        pool.wait_for(lambda: len(annexes.instances("looted")) > rented, "a machine of its own")
        annexes.wait_running(cluster, 6)

    def test_that_invalidates_every_slot_ends_no_machine_buys_none_and_is_reported(
        self, pool: Pool, annexes: Annexes, stranger: Host
    ) -> None:
        cluster = annexes.submit("victim", user="bob", seconds=1000)
        annexes.wait_running(cluster)
        pool.wait_for(lambda: annexes.of("victim", "bob")["instances"]["joined"], "the daemon to have seen it join")
        at_home = {slot["Name"] for slot in pool.slots()}
        since = annexes.calls_so_far()
        stranger.write("/tmp/ad", 'MyType = "Query"\nTargetType = "Machine"\nRequirements = True\n')
        collector = pool.knob("ANNEX_COLLECTOR_HOST")

        def reported() -> bool:
            stranger.run(["condor_advertise", "-pool", collector, "INVALIDATE_STARTD_ADS", "/tmp/ad"])
            return "its slot ad is gone while AWS still shows it" in str(annexes.status()["troubles"])

        pool.wait_for(reported, "the report")
        assert {slot["Name"] for slot in pool.slots()} == at_home
        for action in ("TerminateInstances", "RequestSpotFleet"):
            assert not annexes.calls(action, since)
        assert [fleet["SpotFleetRequestState"] for fleet in annexes.fleets("victim", "bob")] == ["active"]
        (job,) = annexes.wait_running(cluster)
        assert job["NumShadowStarts"] == 1


def test_a_machine_whose_root_takes_every_job_gets_its_own_annex_s_alone(pool: Pool, annexes: Annexes) -> None:
    """Its configuration is what root there would make of it: by AnnexConfigDir, which is read last."""
    pool.ap.write("/etc/annex-hostile/99-hostile.config", "START = True\nIsAnnex = True\n")
    annexes.route("hostile", 'TargetAnnexName == "hostile"', AnnexConfigDir="/etc/annex-hostile")
    first = annexes.submit("hostile", seconds=20)
    annexes.wait_running(first)
    (machine,) = annexes.alive("hostile")
    wants = f'requirements = EC2InstanceID =?= "{machine["InstanceId"]}"\nhold = True'
    others = [
        annexes.submit("hostile", user="bob", commands=wants),
        annexes.submit("peaceful", commands=wants),
        pool.submit("alice", f"executable = /bin/sleep\narguments = 1\n{wants}\nqueue\n"),
    ]
    for cluster in others:
        pool.ap.run(["condor_qedit", str(cluster), "Requirements", f'EC2InstanceID =?= "{machine["InstanceId"]}"'])
        pool.ap.run(["condor_release", str(cluster)])
    again = annexes.submit("hostile", seconds=1)
    pool.wait_for_job(again)
    for cluster in others:
        assert ["NumShadowStarts" in job for job in pool.jobs(f"ClusterId == {cluster}")] == [False]
