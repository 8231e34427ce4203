"""
The boot script and the bundle on instances of the local cloud, with real HTCondor on both sides.

The access point is one of this file's own, as plain as can be: how jobs are steered is proven elsewhere.
"""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest

from annex_core.bundle.build import ExecutionPoint, bundle, user_data
from annex_core.model.names import AnnexKey, bundle_key
from annex_core.model.tags import LEASE_ENDS, stamp
from rehearsal.control import CloudControl
from rehearsal.host import Host
from rehearsal.image import Images
from rehearsal.pool import PATIENCE_S

ADDRESS = "172.31.251.1"
BUCKET = "annex-boot-tests"
HOUR = timedelta(hours=1)

ACCESS_POINT = f"""\
DAEMON_LIST = MASTER COLLECTOR NEGOTIATOR SCHEDD
CONDOR_HOST = {ADDRESS}
TRUST_DOMAIN = boot.test
ALLOW_ADVERTISE_STARTD = annex-*@boot.test
ALLOW_ADVERTISE_MASTER = annex-*@boot.test, condor@*
NEGOTIATOR_INTERVAL = 3
NEGOTIATOR_MIN_INTERVAL = 1
NEGOTIATOR_CYCLE_DELAY = 1
SCHEDD_INTERVAL = 3
"""

JOB = """\
executable = /bin/sh
transfer_executable = false
arguments = job.sh
transfer_input_files = job.sh, in
should_transfer_files = yes
output = out
error = err
request_memory = 64
request_disk = 1000
"""


def eventually(what: Callable[[], object], name: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not what():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {PATIENCE_S:g} s for {name}")
        time.sleep(0.2)


class Site:
    """An access point, and the means of a daemon that would launch instances for it."""

    def __init__(self, ap: Host, cloud: str) -> None:
        self.ap = ap
        self.control = CloudControl(cloud)
        session = boto3.Session(aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="hush", region_name="us-east-2")
        self.ec2 = session.client("ec2", endpoint_url=cloud)
        self.s3 = session.client("s3", endpoint_url=cloud)
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
        images = self.ec2.describe_images(Owners=["self", "amazon"])["Images"]
        self.image = images[0]["ImageId"]

    def launch(self, annex: str, *, idle: int = 600, first: str = "", stored: bool = True) -> str:
        """
        Boot an instance for alice's annex of that name; its id.

        Args:
            idle: Seconds without a claim after which it goes.
            first: Shell that it runs before the boot script.
            stored: Whether its bundle is where its URL says.
        """
        now = datetime.now(UTC)
        url = self.url(annex)
        if stored:
            self.store(annex, idle=idle)
        script = user_data(url=url, lease_ends=now + HOUR, ends_at_latest=now + 24 * HOUR)
        if not stored:
            script = script.replace("BUNDLE_WITHIN=300\n", "BUNDLE_WITHIN=2\n")
        return self.boot(script.replace("#!/bin/sh\n", f"#!/bin/sh\n{first}\n", 1))

    def boot(self, script: str) -> str:
        """Boot an instance with that user data; its id."""
        answer = self.ec2.run_instances(
            ImageId=self.image,
            InstanceType="c5.large",
            MinCount=1,
            MaxCount=1,
            UserData=script,
            InstanceInitiatedShutdownBehavior="terminate",
            MetadataOptions={"HttpTokens": "required", "InstanceMetadataTags": "enabled"},
        )
        return str(answer["Instances"][0]["InstanceId"])

    def store(self, annex: str, *, idle: int) -> None:
        point = ExecutionPoint(
            key=AnnexKey("alice", annex),
            project='say "cheese" for $(LOG)',
            route="aws",
            collector=ADDRESS,
            trust_domain="boot.test",
            idle_timeout=timedelta(seconds=idle),
            lease_ends=datetime.now(UTC) + HOUR,
            hourly_prices={"c5.large": Decimal("0.0961")},
        )
        content = bundle(point, token=self.token(point.key), config_dir={"70-site.config": b"SITE_KNOB = 17\n"})
        self.s3.put_object(Bucket=BUCKET, Key=bundle_key(annex), Body=content)

    def url(self, annex: str) -> str:
        where = {"Bucket": BUCKET, "Key": bundle_key(annex)}
        return self.s3.generate_presigned_url("get_object", Params=where, ExpiresIn=600)

    def token(self, key: AnnexKey) -> str:
        rights = [word for right in ("ADVERTISE_STARTD", "ADVERTISE_MASTER", "READ") for word in ("-authz", right)]
        identity = key.identity("boot.test")
        return self.ap.run(["condor_token_create", "-identity", identity, *rights, "-lifetime", "3600"]).stdout.strip()

    def tag_lease(self, instance: str, ends: datetime) -> None:
        self.ec2.create_tags(Resources=[instance], Tags=[{"Key": LEASE_ENDS, "Value": stamp(ends)}])

    def machine(self, instance: str) -> dict[str, Any]:
        return next(each for each in self.control.machines() if each["id"] == instance)

    def slot(self, instance: str) -> dict[str, Any]:
        """The ad of its partitionable slot; empty while there is none."""
        constraint = f'EC2InstanceID == "{instance}" && PartitionableSlot'
        found = self._json("condor_status", "-constraint", constraint)
        return found[0] if found else {}

    def wait_for_slot(self, instance: str) -> dict[str, Any]:
        eventually(lambda: self.slot(instance), f"{instance} to join")
        return self.slot(instance)

    def wait_for_end(self, instance: str) -> str:
        """Until the instance is terminated; its console."""
        try:
            eventually(lambda: self.machine(instance)["state"] == "terminated", f"the end of {instance}")
        except TimeoutError as error:
            error.add_note(self.machine(instance)["console"])
            raise
        return str(self.machine(instance)["console"])

    def submit(self, user: str, script: str, **attributes: str) -> str:
        """A job's id; *attributes* are submit commands, a name with a capital is an attribute of the job ad."""
        folder = f"{self.ap.home(user)}/{secrets.token_hex(4)}"
        lines = [f"{'My.' if name[0].isupper() else ''}{name} = {value}" for name, value in attributes.items()]
        for name, content in {
            "job.sh": script,
            "in": "text\n",
            "job.sub": JOB + "\n".join([*lines, "queue\n"]),
        }.items():
            self.ap.write(f"{folder}/{name}", content, user=user)
        said = self.ap.run(["condor_submit", "-terse", "job.sub"], user=user, cwd=folder).stdout
        return said.split()[0]

    def job(self, job: str) -> dict[str, Any]:
        """Its ad, in the queue or after it."""
        found = self._json("condor_q", job) or self._json("condor_history", job)
        return found[0] if found else {}

    def run(self, script: str, annex: str) -> dict[str, str]:
        """What alice's job in her annex printed (out, err) and any file `made` that it brought back."""
        job = self.submit("alice", script, TargetAnnexName=f'"{annex}"')
        eventually(lambda: self.job(job).get("JobStatus") == 4, f"job {job}")
        folder = str(self.job(job)["Iwd"])
        files = self.ap.path(folder).iterdir()
        return {path.name: path.read_text() for path in files}

    def _json(self, *command: str) -> list[dict[str, Any]]:
        return json.loads(self.ap.run([*command, "-json"]).stdout or "[]")


@pytest.fixture(scope="module")
def site(images: Images, mount_point: Path, cloud: str) -> Iterator[Site]:
    config = {"/etc/condor/config.d/20-site.config": ACCESS_POINT}
    ap = Host("ap.boot.test", ADDRESS, images.machine, mount_point=mount_point, files=config)
    try:
        for user in ("alice", "bob"):
            ap.run(["useradd", "--create-home", "--shell", "/bin/bash", user])
        ap.write("/etc/condor/passwords.d/POOL", secrets.token_bytes(64), mode=0o600)
        ap.run(["condor_master"])
        schedd = ["condor_status", "-schedd", "-af", "Name"]
        eventually(lambda: ap.run(schedd, check=False).stdout, "the access point")
        yield Site(ap, cloud)
    finally:
        ap.kill()


@pytest.fixture(scope="module")
def blue(site: Site) -> str:
    """An instance of alice's annex blue."""
    instance = site.launch("blue")
    site.wait_for_slot(instance)
    return instance


def test_its_slot_says_whose_annex_it_is_and_at_what_price(site: Site, blue: str) -> None:
    slot = site.slot(blue)
    wanted = {
        "AnnexName": "blue",
        "IsAnnex": True,
        "AnnexProject": 'say "cheese" for $(LOG)',
        "AnnexRoute": "aws",
        "EC2InstanceType": "c5.large",
        "AnnexHourlyPrice": 0.0961,
        "AuthenticatedIdentity": "annex-alice.blue@boot.test",
    }
    assert {name: slot.get(name) for name in wanted} == wanted


def test_a_job_of_the_annex_runs_with_its_files_in_and_out(site: Site, blue: str) -> None:
    assert site.run("tr a-z A-Z < in > made", "blue")["made"] == "TEXT\n"


def test_a_job_runs_as_nobody(site: Site, blue: str) -> None:
    assert site.run("id -un", "blue")["out"] == "nobody\n"


def test_a_job_that_asks_for_the_metadata_address_is_refused(site: Site, blue: str) -> None:
    script = "curl -s -m 5 -X PUT http://169.254.169.254/latest/api/token; echo $?"
    assert site.run(script, "blue")["out"] == "7\n"


def test_a_job_can_read_neither_the_token_nor_the_user_data(site: Site, blue: str) -> None:
    script = (
        "cat /etc/condor/config.d/annex-tokens/annex /var/lib/cloud/user-data; ls -A /etc/condor/config.d/annex-tokens"
    )
    said = site.run(script, "blue")
    assert said["out"] == ""
    assert said["err"].count("Permission denied") == 3


def test_a_job_can_not_command_the_machine_it_runs_on(site: Site, blue: str) -> None:
    said = site.run("condor_off -master; condor_config_val -startd -rset START=true; condor_drain $(hostname)", "blue")
    assert "AUTHENTICATE" in said["err"]
    assert site.run("echo still here", "blue")["out"] == "still here\n"


def test_an_administrator_can_drain_it_from_the_access_point(site: Site, blue: str) -> None:
    slot = site.slot(blue)
    site.ap.run(["condor_drain", "-graceful", slot["Machine"]])
    eventually(lambda: site.slot(blue).get("State") == "Drained", "the draining")
    site.ap.run(["condor_drain", "-cancel", slot["Machine"]])
    eventually(lambda: site.slot(blue).get("State") == "Unclaimed", "the end of draining")


def test_only_the_owners_jobs_that_named_the_annex_and_can_end_in_time_run_on_it(site: Site, blue: str) -> None:
    others = [
        site.submit("bob", "echo", TargetAnnexName='"blue"'),
        site.submit("alice", "echo", TargetAnnexName='"Blue"'),
        site.submit("alice", "echo"),
        site.submit("alice", "echo", TargetAnnexName='"blue"', allowed_execute_duration="7200"),
    ]
    in_time = site.submit("alice", "echo", TargetAnnexName='"blue"', allowed_execute_duration="600")
    eventually(lambda: site.job(in_time)["JobStatus"] == 4, "the job that can end in time")
    site.run("echo", "blue")  # another cycle of the negotiator
    assert [site.job(job)["JobStatus"] for job in others] == [1, 1, 1, 1]
    site.ap.run(["condor_rm", *others])


def test_a_lease_moved_by_its_tag_is_in_the_slot_ad_and_its_end_sends_the_job_back_to_the_queue(
    site: Site, blue: str
) -> None:
    job = site.submit("alice", "exec sleep 1000", TargetAnnexName='"blue"')
    eventually(lambda: site.job(job)["JobStatus"] == 2, "the job's start")
    extended = datetime.now(UTC) + 3 * HOUR
    site.tag_lease(blue, extended)
    moment = int(extended.timestamp())
    eventually(lambda: site.slot(blue).get("AnnexLeaseEnds") == moment, "the moved lease in the slot ad")
    site.tag_lease(blue, datetime.now(UTC) + timedelta(seconds=50))
    console = site.wait_for_end(blue)
    assert "last minute of the lease: jobs are asked to leave" in console
    assert site.job(job)["JobStatus"] == 1
    site.ap.run(["condor_rm", job])


def test_without_work_it_ends_by_itself(site: Site) -> None:
    instance = site.launch("idle", idle=10)
    site.wait_for_slot(instance)
    console = site.wait_for_end(instance)
    assert "powering off: condor_master has ended (status 0)" in console


def test_without_its_bundle_it_ends_by_itself(site: Site) -> None:
    console = site.wait_for_end(site.launch("lost", stored=False))
    assert "powering off: no bundle after 2 s" in console


@pytest.fixture(scope="module")
def iptables(site: Site) -> None:
    rule = ["iptables", "-A", "OUTPUT", "-d", "192.0.2.1", "-m", "owner", "--uid-owner", "1", "-j", "REJECT"]
    if site.ap.run(rule, check=False).returncode:
        pytest.skip("this kernel's iptables knows no owners")


@pytest.mark.usefixtures("iptables")
def test_an_image_without_ip_closes_the_metadata_address_by_iptables(site: Site) -> None:
    console = site.wait_for_end(site.launch("bare", idle=5, first="rm -f /usr/bin/ip /usr/sbin/ip"))
    assert "metadata is closed to all but root, by iptables" in console


@pytest.mark.usefixtures("iptables")
def test_jobs_come_to_an_instance_that_takes_no_connection_from_outside(site: Site) -> None:
    site.launch("walled", idle=5, first="iptables -A INPUT -i eth0 -p tcp --syn -j DROP")
    assert site.run("tr a-z A-Z < in > made", "walled")["made"] == "TEXT\n"


def test_an_image_that_can_not_close_the_metadata_address_never_starts_htcondor(site: Site) -> None:
    no_tools = "rm -f /usr/bin/ip /usr/sbin/ip /usr/sbin/*tables* /usr/sbin/nft"
    console = site.wait_for_end(site.launch("open", first=no_tools))
    assert "powering off: the metadata address stays open to jobs" in console
    assert "condor_master runs" not in console


BOOT_SERVICE = """\
#!/bin/sh
# What condor-annex-ec2 does once it has found the bundle, and the lines of its own configuration that meet ours.
exec > /etc/condor/config.d/49ec2-instance.config
echo 'EC2PublicIP = 203.0.113.9'
echo 'EC2InstanceID = "i-seed"'
exec > /etc/condor/config.d/50ec2.config
echo 'DAEMON_LIST = MASTER STARTD'
echo 'QuotedEC2PublicIP = "$(EC2PublicIP)"'
echo 'STARTD_ATTRS = $(STARTD_ATTRS) QuotedEC2PublicIP EC2InstanceID'
echo 'TCP_FORWARDING_HOST = $(EC2PublicIP)'
echo 'MASTER.DAEMON_SHUTDOWN_FAST = ( STARTD_StartTime == 0 ) && ((CurrentTime - DaemonStartTime) > 60)'
echo 'MOUNT_UNDER_SCRATCH = /tmp,/var/tmp'
curl -fsS -o /etc/condor/bundle.tar.gz 'URL'
tar --no-same-owner -C /etc/condor/config.d -x -z -f /etc/condor/bundle.tar.gz
condor_master -f
poweroff
"""


def test_an_image_with_the_boot_service_of_htcondor_joins_from_the_same_bundle(site: Site) -> None:
    site.store("seed", idle=10)
    instance = site.boot(BOOT_SERVICE.replace("URL", site.url("seed")))
    assert site.run("id -un", "seed")["out"] == "nobody\n"
    site.wait_for_end(instance)
