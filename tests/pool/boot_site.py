"""A plain access point, and the means of a daemon that would boot instances of the local cloud for it."""

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3

from annex_core.account.components import bucket_name
from annex_core.bundle.build import ExecutionPoint, bundle, user_data
from annex_core.model.names import AnnexKey, bundle_key
from annex_core.model.tags import LEASE_ENDS, stamp
from rehearsal.control import CloudControl
from rehearsal.host import Host
from rehearsal.image import Images
from rehearsal.pool import PATIENCE_S

ADDRESS = "172.31.251.1"
REGION = "us-east-2"
BUCKET = bucket_name("123456789012", REGION)
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
        self._cloud = cloud
        self.ec2 = self.client("ec2")
        self.s3 = self.client("s3")
        self.version = self.ap.run(["condor_version"]).stdout.split()[1]
        with suppress(self.s3.exceptions.BucketAlreadyOwnedByYou):  # of an earlier site of the same cloud
            self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})

    def client(self, service: str) -> Any:
        keys = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "hush"}
        return boto3.client(service, endpoint_url=self._cloud, region_name=REGION, **keys)  # type: ignore[call-overload]

    def image(self, name: str) -> str:
        """The id of an image of the rehearsal; `bare`, `service`, or empty for the ordinary one."""
        wanted = [{"Name": "name", "Values": [f"condor-annex-rehearsal-{name}".rstrip("-")]}]
        [image] = self.ec2.describe_images(Filters=wanted)["Images"]
        return str(image["ImageId"])

    def launch(self, annex: str, *, image: str = "", idle: int = 600, first: str = "", stored: bool = True) -> str:
        """
        Boot an instance for alice's annex of that name; its id.

        Args:
            image: As image().
            idle: Seconds without a claim after which it goes.
            first: Shell that it runs before the boot script.
            stored: Whether its bundle is where its URL says.
        """
        now = datetime.now(UTC)
        url = self.url(annex)
        if stored:
            self.store(annex, idle=idle)
        script = user_data(source=url, lease_ends=now + HOUR, ends_at_latest=now + 24 * HOUR)
        if not stored:
            script = script.replace("BUNDLE_WITHIN=300\n", "BUNDLE_WITHIN=2\n")
        return self.boot(script.replace("#!/bin/sh\n", f"#!/bin/sh\n{first}\n", 1), ImageId=self.image(image))

    def boot(self, script: str, **more: Any) -> str:
        """Boot an instance with that user data, and *more* of RunInstances' parameters; its id."""
        parameters: dict[str, Any] = {
            "ImageId": self.image(""),
            "InstanceType": "c5.large",
            "MinCount": 1,
            "MaxCount": 1,
            "UserData": script,
            "InstanceInitiatedShutdownBehavior": "terminate",
            "MetadataOptions": {"HttpTokens": "required", "InstanceMetadataTags": "enabled"},
        }
        answer = self.ec2.run_instances(**parameters | more)
        return str(answer["Instances"][0]["InstanceId"])

    def store(self, annex: str, *, idle: int, more: Mapping[str, bytes] | None = None) -> None:
        """Its bundle, with *more* files of AnnexConfigDir."""
        point = ExecutionPoint(
            key=AnnexKey("alice", annex),
            project='say "cheese" for $(LOG)',
            route="aws",
            collector=ADDRESS,
            trust_domain="boot.test",
            idle_timeout=timedelta(seconds=idle),
            lease_ends=datetime.now(UTC) + HOUR,
            hourly_prices={"c5.large": Decimal("0.0961")},
            version=self.version,
        )
        content = bundle(
            point, token=self.token(point.key), config_dir={"70-site.config": b"SITE_KNOB = 17\n", **(more or {})}
        )
        self.s3.put_object(Bucket=BUCKET, Key=bundle_key(annex), Body=content)

    def url(self, annex: str) -> str:
        where = {"Bucket": BUCKET, "Key": bundle_key(annex)}
        return str(self.s3.generate_presigned_url("get_object", Params=where, ExpiresIn=600))

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
        found: list[dict[str, Any]] = json.loads(self.ap.run([*command, "-json"]).stdout or "[]")
        return found


@contextmanager
def standing(images: Images, mount_point: Path, cloud: str) -> Iterator[Site]:
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
