"""What the tests of bad days ask for and look at: as users and administrators do, and at AWS behind the daemon."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3

from rehearsal.control import CloudControl
from rehearsal.pool import Pool

CONDOR_ANNEX = "/opt/condor-annex/bin/condor_annex"
FLEET_TAG = "aws:ec2spot:fleet-request-id"
LEASE_ENDS = "htcondor:LeaseEnds"
DRAINING = "htcondor:Draining"
_SHIPPED_ROUTE = "/etc/condor/config.d/60-annex-route-rehearsal.config"
_BURST_ROUTE = Path(__file__).parents[2] / "config.d/62-annex-route-burst.config"
_TEST_ROUTES = "/etc/condor/config.d/70-annex-routes-of-a-test.config"

JOB = """\
executable = /bin/sleep
arguments = {seconds}
request_memory = 64
request_disk = 1024
annex_name = {annex}
{commands}
queue {jobs}
"""


class Annexes:
    """The annexes of the tests' pool."""

    def __init__(self, pool: Pool, control: CloudControl) -> None:
        self.pool = pool
        self.control = control
        session = boto3.Session(
            aws_access_key_id="rehearsal", aws_secret_access_key="rehearsal", region_name="us-east-2"
        )
        self.ec2 = session.client("ec2", endpoint_url=control.url)
        self.s3 = session.client("s3", endpoint_url=control.url)
        self._routes: dict[str, str] = {}
        self._transforms = ""
        """The line that switches on what routes for jobs that named no annex need at submit."""

    def end_all(self) -> None:
        """No job, no machine, no fleet, no route of a test; the daemon runs."""
        self.pool.ap.run(["condor_rm", "-all"], check=False)
        self.pool.wait_for(lambda: not self.pool.jobs(), "an empty queue")
        fleets = self.ec2.describe_spot_fleet_requests()["SpotFleetRequestConfigs"]
        ids = [each["SpotFleetRequestId"] for each in fleets if each["SpotFleetRequestState"] == "active"]
        if ids:
            self.ec2.cancel_spot_fleet_requests(SpotFleetRequestIds=ids, TerminateInstances=True)
        left = [each["id"] for each in self.control.machines() if each["state"] in {"pending", "running"}]
        if left:
            self.ec2.terminate_instances(InstanceIds=left)
        self.start_daemon()
        self.drop_routes()

    # Jobs.

    def submit(self, annex: str, *, user: str = "alice", jobs: int = 1, seconds: int = 1, commands: str = "") -> int:
        """A cluster of jobs that sleep."""
        text = JOB.format(annex=annex, jobs=jobs, seconds=seconds, commands=commands)
        return self.pool.submit(user, text)

    def wait_said(self, cluster: int, words: str) -> None:
        """Until the AnnexStatus of an idle job says it."""

        def said() -> bool:
            waiting = self.pool.jobs(f"ClusterId == {cluster} && JobStatus == 1")
            return any(words in job.get("AnnexStatus", "") for job in waiting)

        try:
            self.pool.wait_for(said, f"an AnnexStatus with {words!r}")
        except TimeoutError as error:
            for job in self.pool.jobs(f"ClusterId == {cluster}"):
                told = {name: job.get(name) for name in ("ProcId", "JobStatus", "AnnexRoute", "AnnexStatus")}
                error.add_note(str(told))
            error.add_note(json.dumps(self.status(), indent=1))
            raise

    def wait_running(self, cluster: int, jobs: int = 1) -> list[dict[str, Any]]:
        constraint = f"ClusterId == {cluster} && JobStatus == 2"

        def look() -> list[dict[str, Any]]:
            found = self.pool.jobs(constraint)
            return found if len(found) >= jobs else []

        return self.pool.wait_for(look, f"{jobs} running jobs of cluster {cluster}")

    def runs_on(self, cluster: int, jobs: int = 1) -> list[str]:
        """Once so many jobs of a cluster run: the instance of each."""
        return [str(job["MachineAttrEC2InstanceID0"]) for job in self.wait_running(cluster, jobs)]

    def slots(self) -> list[dict[str, Any]]:
        """Of all machines of annexes, as their collector has them."""
        return self.pool.slots(self.pool.knob("ANNEX_COLLECTOR_HOST"))

    def slot(self, instance: dict[str, Any]) -> dict[str, Any]:
        """A machine's own one, from which its jobs' are taken."""
        own = {slot["EC2InstanceID"]: slot for slot in self.slots() if slot.get("PartitionableSlot")}
        return own.get(instance["InstanceId"], {})

    # What AWS shows.

    def wait_faulted(self) -> None:
        """Until the calls that are to go wrong have arrived."""
        self.pool.wait_for(lambda: not self.control.faults(), "the call that is to go wrong")

    def calls(self, action: str, since: int = 0) -> list[dict[str, Any]]:
        """AWS calls of that name after call number *since*; dry runs, which do nothing, are left out."""
        return [call for call in self.control.calls(since) if call["action"] == action and not call["dry_run"]]

    def calls_so_far(self) -> int:
        return max((int(call["n"]) for call in self.control.calls()), default=0)

    def instances(self, annex: str, user: str = "alice") -> list[dict[str, Any]]:
        """All that there ever were, ended ones too."""
        answer = self.ec2.describe_instances(Filters=_tagged(annex, user))
        return [dict(each) for reservation in answer["Reservations"] for each in reservation["Instances"]]

    def alive(self, annex: str, user: str = "alice") -> list[dict[str, Any]]:
        return [each for each in self.instances(annex, user) if each["State"]["Name"] in {"pending", "running"}]

    def fleets(self, annex: str, user: str = "alice") -> list[dict[str, Any]]:
        """All Spot Fleet requests that AWS lists, cancelled ones too."""
        wanted = {"htcondor:AnnexName": annex, "htcondor:Owner": user}
        found = self.ec2.describe_spot_fleet_requests()["SpotFleetRequestConfigs"]
        return [dict(each) for each in found if wanted.items() <= tags(each).items()]

    def open_requests(self, fleet: dict[str, Any]) -> int:
        """Its spot requests that may still be filled."""
        wanted: Any = [
            {"Name": f"tag:{FLEET_TAG}", "Values": [fleet["SpotFleetRequestId"]]},
            {"Name": "state", "Values": ["open"]},
        ]
        return len(self.ec2.describe_spot_instance_requests(Filters=wanted)["SpotInstanceRequests"])

    def brought(self, fleet: dict[str, Any]) -> list[dict[str, Any]]:
        """Machines that came of a fleet request, as the local cloud knows them."""
        return [each for each in self.control.machines() if each["fleet"] == fleet["SpotFleetRequestId"]]

    def machine(self, instance: dict[str, Any]) -> dict[str, Any]:
        """What the local cloud knows of an instance: when it booted and ended, and its console."""
        return next(each for each in self.control.machines() if each["id"] == instance["InstanceId"])

    def ended(self, instance: dict[str, Any]) -> bool:
        return str(self.machine(instance)["state"]) == "terminated"

    def move_lease(self, instance: dict[str, Any], *, seconds: float) -> None:
        """To so many seconds from now, as an administrator may: by its tag."""
        ends = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.ec2.create_tags(Resources=[instance["InstanceId"]], Tags=[{"Key": LEASE_ENDS, "Value": ends}])

    def told_to_drain(self, instance: dict[str, Any]) -> bool:
        """By its tag; the machine itself looks at it each half minute."""
        answer = self.ec2.describe_instances(InstanceIds=[instance["InstanceId"]])
        return DRAINING in tags(answer["Reservations"][0]["Instances"][0])

    # What condor_annex and the daemon's log say.

    def status(self) -> dict[str, Any]:
        """Everything, as an administrator sees it."""
        answer: dict[str, Any] = json.loads(self.pool.ap.run([CONDOR_ANNEX, "status", "-json"]).stdout)
        return answer

    def of(self, annex: str, user: str = "alice") -> dict[str, Any]:
        """One annex of the status; empty where there is none."""
        found: list[dict[str, Any]] = self.status()["annexes"]
        return next((each for each in found if (each["name"], each["owner"]) == (annex, user)), {})

    def log(self) -> str:
        return self.pool.ap.read(self.pool.knob("ANNEXD_LOG"))

    def look_again(self) -> None:
        """Until the daemon has looked around, decided and acted on what there is to see now."""
        for _ in range(2):  # one look may have been under way
            seen = self.status()["as_of"]
            self.pool.wait_for(lambda seen=seen: self.status()["as_of"] != seen, "the daemon's next look")

    # The daemon.

    def daemon_pid(self) -> int:
        """Of condor_annexd on the access point, 0 while it is not there."""
        found = self.pool.ap.run(["pgrep", "-o", "-f", "bin/condor_annexd"], check=False).stdout.split()
        return int(found[0]) if found else 0

    def daemon_lives(self, pid: int) -> bool:
        return self.pool.ap.path(f"/proc/{pid}").exists()

    def stop_daemon(self) -> None:
        pid = self.daemon_pid()
        self.pool.ap.run(["condor_off", "-daemon", "ANNEXD"])
        self.pool.wait_for(lambda: not self.daemon_lives(pid), "the end of condor_annexd")

    def start_daemon(self) -> None:
        """And wait until it listens; nothing is done where it runs."""
        self.pool.ap.run(["condor_on", "-daemon", "ANNEXD"])
        self.pool.wait_for(lambda: self.daemon_pid() and self._listens(), "condor_annexd")

    def _listens(self) -> bool:
        return not self.pool.ap.run([CONDOR_ANNEX, "status"], check=False).returncode

    # Routes.

    def route(self, name: str, annexes: str, lines: str = "", *, burst: bool = False, **macros: str | None) -> None:
        """
        Add a route that comes before the shipped one, or change it.

        Args:
            annexes: A ClassAd condition on the job, such as `TargetAnnexName == "blue"`.
            burst: For jobs that named no annex, as config.d/62-annex-route-burst.config takes them.
            lines: More of the route's text.
            macros: What differs from the shipped route; None leaves a macro out.
        """
        kept = [
            line
            for line in self.pool.ap.read(_SHIPPED_ROUTE).split("@=end\n")[1].split("@end")[0].splitlines()
            if line.split() and not line.lstrip().startswith("#") and line.split()[0] not in {"REQUIREMENTS", *macros}
        ]
        kept = [line.replace('AnnexRoute "rehearsal"', f'AnnexRoute "{name}"') for line in kept]
        text = [
            f"REQUIREMENTS ({annexes}) && {_burst() if burst else 'AnnexRoute =?= undefined'}",
            *kept,
            *(f"{macro} = {value}" for macro, value in macros.items() if value is not None),
            lines,
        ]
        self._routes[name] = "\n".join(text)
        if burst:
            self._transforms = _burst_transforms()
        self._reconfigure()

    def drop_routes(self) -> None:
        """Those of route()."""
        if self._routes:
            self._routes.clear()
            self._transforms = ""
            self._reconfigure()

    def _reconfigure(self) -> None:
        text = "".join(f"JOB_ROUTER_ROUTE_{name} @=end\n{route}\n@end\n" for name, route in self._routes.items())
        names = " ".join(self._routes)
        before = self.log().count("routes in force")
        self.pool.ap.write(
            _TEST_ROUTES,
            f"{text}JOB_ROUTER_ROUTE_NAMES = {names} $(JOB_ROUTER_ROUTE_NAMES)\n"
            f"ANNEX_ROUTE_NAMES = $(ANNEX_ROUTE_NAMES) {names}\n"
            f"{self._transforms}\n",
        )
        self.pool.ap.run(["condor_reconfig"])
        self.pool.wait_for(lambda: self.log().count("routes in force") > before, "the routes to be read again")


def tags(thing: Any) -> dict[str, str]:
    """Of anything in an answer of boto3's."""
    return {tag["Key"]: tag["Value"] for tag in thing.get("Tags", ())}


def _burst() -> str:
    """What the shipped route for jobs that named no annex asks of them, whichever they are."""
    (condition,) = re.findall(r"^ *REQUIREMENTS MayUseAWS =\?= True && (.*)$", _BURST_ROUTE.read_text(), re.MULTILINE)
    return str(condition)


def _burst_transforms() -> str:
    (line,) = re.findall(r"^# (JOB_TRANSFORM_NAMES = .*)$", _BURST_ROUTE.read_text(), re.MULTILINE)
    return str(line)


def _tagged(annex: str, user: str) -> Any:
    return [
        {"Name": "tag:htcondor:AnnexName", "Values": [annex]},
        {"Name": "tag:htcondor:Owner", "Values": [user]},
    ]
