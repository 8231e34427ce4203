"""
An annex by hand: ours, through the running daemon, beside the withdrawn condor_annex that the pool's HTCondor brings.

Both speak to one local cloud. Each command's wall is what whoever types it waits; its calls to AWS are all from its
start to its end, those of the daemon too. The withdrawn tool pauses 100 ms between calls: what it takes without that
pause stands beside it. The ratio of a create's wall is printed last.
"""

import io
import json
import re
import statistics
import sys
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar
from urllib.parse import urlsplit

import boto3
import urllib3

from bench.calls import named
from bench.ground import calls_so_far, ground, restart_daemon
from rehearsal.stage import Stage

ROUNDS = 7
CREATE_LIMIT = 0.5
"""Of the withdrawn tool's wall; of all else 1."""
CROWDS = {100: 7, 1000: 3}
"""Machines whose status is asked for, and rounds: of a thousand the local cloud tells for seconds."""
PATIENCE_S = 150.0
CALLS_MORE = 1
"""The launch template."""
OURS, PEER = "/opt/condor-annex/bin/condor_annex", "/usr/bin/condor_annex"
UNTHROTTLED = {"_CONDOR_ANNEX_GAHP_RATE_LIMIT": "0"}

SIGNED_BY = {"aws_access_key_id": "rehearsal", "aws_secret_access_key": "rehearsal"}

_ROUTE = "/etc/condor/config.d/60-annex-route-rehearsal.config"
_PEERS_KNOBS = "/etc/condor/config.d/98-the-withdrawn-tool.config"
_WRONG = re.compile(r"found wrong collector \(\S+ vs (\w+)\)")
_REGION = "us-east-2"
_HOME = "/home/alice"
_BUCKET = "condor-annex-rehearsal"


@dataclass(frozen=True)
class Taken:
    """By one command."""

    wall_s: float
    calls: list[dict[str, Any]]
    said: str


class Typist:
    """Types both tools' commands on the access point, and takes the time."""

    def __init__(self, on: Stage) -> None:
        self._on = on

    def ours(self, *words: str, until: str | None = None) -> Taken:
        """
        Args:
            until: The call to AWS that follows the command's end, if one does.
        """
        return self._type([OURS, *words], until)

    def peer(self, *words: str, **environment: str) -> Taken:
        """As a user whose pool password and collector are of the kind that it wants."""
        knobs = {
            "_CONDOR_SEC_PASSWORD_FILE": f"{_HOME}/password",
            "_CONDOR_COLLECTOR_HOST": self._on.pool.knob("ANNEX_COLLECTOR_HOST"),
            **environment,
        }
        return self._type(["env", *(f"{name}={value}" for name, value in knobs.items()), PEER, *Functions.urls, *words])

    def learn_collector(self, *words: str) -> None:
        """Its function in AWS has to name the collector: a refused create says which one it is."""
        said = self.peer(*words).said
        if not (found := _WRONG.search(said)):
            raise SystemExit(f"{PEER} doesn't say which collector it means:\n{said}")
        Functions.collector = found[1]

    def _type(self, command: list[str], until: str | None = None) -> Taken:
        before, invoked, began = calls_so_far(self._on), Functions.invoked, time.perf_counter()
        done = self._on.pool.ap.run(command, user="alice", check=False)  # the withdrawn tool's status tells nothing
        wall_s = time.perf_counter() - began
        if until:
            self._on.pool.wait_for(lambda: until in {call["action"] for call in self._on.cloud.calls(before)}, until)
        invocations = [{"action": "Invoke"}] * (Functions.invoked - invoked)
        return Taken(wall_s, [*self._on.cloud.calls(before), *invocations], done.stdout + done.stderr)


class Functions(BaseHTTPRequestHandler):
    """Lambda, which the local cloud can describe but not run: the check of its collector, and nothing else is run."""

    cloud: ClassVar[str]
    collector: ClassVar[str] = "unknown"
    urls: ClassVar[list[str]] = []
    """The withdrawn tool's options: its knobs give way to the region's own addresses."""
    invoked: ClassVar[int] = 0

    def do_GET(self) -> None:
        answer = urllib3.request("GET", f"{self.cloud}{self.path}", headers=dict(self.headers), retries=False)
        self._answer(answer.status, answer.data)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        Functions.invoked += 1
        self._answer(200, json.dumps({"success": "1", "result": self.collector}).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its base's word
        pass


def main() -> int:
    with ground() as on:
        prepare_peer(on)
        create = ("-slots", "1", "-aws-spot-fleet-config-file", f"{_HOME}/fleet.json", "-yes")
        route = on.pool.ap.read(_ROUTE)
        on.pool.ap.write(_ROUTE, route.replace("AnnexMaxInstances = 20", "AnnexMaxInstances = 2000"))
        restart_daemon(on, interval_s=3600)
        typist = Typist(on)
        typist.learn_collector("-annex-name", "Peer", *create)
        made = typist.peer("-annex-name", "Peer", *create).said
        if "Annex started" not in made:
            raise SystemExit(f"{PEER} makes no annex:\n{made}")
        good, ratio = compared(
            "create",
            lambda n: typist.ours("create", f"ours{n}", "-yes"),
            lambda n, knobs: typist.peer("-annex-name", f"Peer{n}{len(knobs)}", *create, **knobs),
            limit=CREATE_LIMIT,
            more=CALLS_MORE,
        )
        good &= compared(
            "renewal",
            lambda n: typist.ours("extend", "ours0", "-duration", f"{n + 60}m", until="CreateTags"),
            lambda n, knobs: typist.peer("-annex-name", "Peer00", "-duration", f"{n + 2}", **knobs),
            more=CALLS_MORE,
        )[0]
        on.cloud.settings(fill_fraction=1.0, boot_delay_s=100_000.0)  # machines that are listed, and no more
        there = 0
        for machines, rounds in CROWDS.items():
            typist.ours("create", "crowd", "-instances", str(machines - there), "-yes")
            there = machines
            began = time.perf_counter()
            restart_daemon(on, interval_s=3600)  # which looks at all of them
            wait_counted(typist, machines)
            print(f"{machines} machines: the daemon knows of all {time.perf_counter() - began:.1f} s after its end")
            good &= compared(
                f"status of {machines} machines",
                lambda _: typist.ours("status"),
                lambda _, knobs: typist.peer("-status", **knobs),
                rounds=rounds,
            )[0]
    print(f"ratio {ratio:.2f}")
    return 0 if good else 1


def wait_counted(typist: Typist, machines: int) -> None:
    """Until the daemon knows of so many."""
    until = time.perf_counter() + PATIENCE_S
    counted = 0
    while counted < machines:
        if time.perf_counter() > until:
            raise SystemExit(f"after {PATIENCE_S:.0f} s the daemon knows of {counted} machines of {machines}")
        time.sleep(0.2)
        said = typist.ours("status", "-json").said
        annexes = json.loads(said)["annexes"] if said.startswith("{") else []
        counted = sum(each["instances"]["booting"] for each in annexes if each["name"] == "crowd")


def compared(
    what: str,
    ours: Callable[[int], Taken],
    peers: Callable[[int, Mapping[str, str]], Taken],
    *,
    limit: float = 1.0,
    more: int = 0,
    rounds: int = ROUNDS,
) -> tuple[bool, float]:
    """
    By turns, so that neither has the quieter machine; medians, and the most calls.

    Args:
        ours: Types our command, for the round of that number.
        peers: Types the withdrawn tool's, with these knobs in its environment.
        limit: Of the peer's wall as it comes.
        more: Calls that ours may make beside as many as the peer's.

    Returns:
        Whether it keeps to the limits, and its wall by the peer's.
    """
    turns = [(ours(n), peers(n, {}), peers(n, UNTHROTTLED)) for n in range(rounds)]
    mine, theirs, unthrottled = (list(each) for each in zip(*turns, strict=True))
    walls = [statistics.median(each.wall_s for each in some) for some in (mine, theirs, unthrottled)]
    most, fewest = max(mine, key=lambda each: len(each.calls)), min(theirs, key=lambda each: len(each.calls))
    ratio = walls[0] / walls[1]
    print(f"{what}: {walls[0]:.2f} s against {walls[1]:.2f} s: {ratio:.2f}, limit {limit:g};", end=" ")
    print(f"{walls[0] / walls[2]:.2f} of the {walls[2]:.2f} s that it takes without its throttle")
    print(f"  ours: {len(most.calls)} calls: {named(most.calls) or 'none'}")
    print(f"  its: {len(fewest.calls)} calls: {named(fewest.calls) or 'none'}")
    return ratio <= limit and len(most.calls) <= len(fewest.calls) + more, ratio


def prepare_peer(on: Stage) -> None:
    """What its -setup would have left: functions, a bucket, keys, and the knobs that name them."""
    url = on.cloud.url
    Functions.cloud = url
    functions = ThreadingHTTPServer((urlsplit(url).hostname or "", 0), Functions)
    Thread(target=functions.serve_forever, daemon=True).start()
    session = boto3.Session(region_name=_REGION, **SIGNED_BY)
    role = session.client("iam", endpoint_url=url).create_role(RoleName="lease", AssumeRolePolicyDocument="{}")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("lease.py", "def handler(event, context): return {}\n")
    lease = session.client("lambda", endpoint_url=url).create_function(
        FunctionName="lease",
        Runtime="python3.12",
        Role=role["Role"]["Arn"],
        Handler="lease.handler",
        Code={"ZipFile": packed.getvalue()},
    )["FunctionArn"]
    image = session.client("ssm", endpoint_url=url).get_parameter(Name="/condor-annex/rehearsal/image")
    subnet = session.client("ec2", endpoint_url=url).describe_subnets()["Subnets"][0]["SubnetId"]
    fleet = {
        "IamFleetRole": "arn:aws:iam::123456789012:role/aws-ec2-spot-fleet-tagging-role",
        "SpotPrice": "0.5",
        "AllocationStrategy": "lowestPrice",
        "TargetCapacity": 1,
        "LaunchSpecifications": [
            {"ImageId": image["Parameter"]["Value"], "InstanceType": "c5.large", "SubnetId": subnet}
        ],
    }
    on.pool.ap.write(f"{_HOME}/fleet.json", json.dumps(fleet), user="alice")
    on.pool.ap.write(f"{_HOME}/.condor/AnnexLog", "", user="alice")
    for name in ("access", "secret", "password"):
        on.pool.ap.write(f"{_HOME}/{name}", "rehearsal\n", user="alice", mode=0o600)
    ports = dict.fromkeys(("ec2", "events", "s3"), urlsplit(url).port) | {"lambda": functions.server_port}
    # It takes the region to sign for from the name, and puts the bucket's before it; on this access point alone they
    # are the local cloud's.
    names = [f"{service}.{_REGION}.amazonaws.com" for service in ports]
    hosts = on.pool.ap.read("/etc/hosts")
    on.pool.ap.write("/etc/hosts", f"{hosts}{urlsplit(url).hostname} {' '.join([*names, f'{_BUCKET}.{names[2]}'])}\n")
    for (service, port), name in zip(ports.items(), names, strict=True):
        Functions.urls += [f"-aws-{service}-url", f"http://{name}:{port}"]
    on.pool.ap.write(
        _PEERS_KNOBS,
        "ANNEX_DEFAULT_AWS_REGION =\n"
        f"ANNEX_DEFAULT_CONNECTIVITY_FUNCTION_ARN = {lease}\n"
        f"ANNEX_DEFAULT_ACCESS_KEY_FILE = {_HOME}/access\n"
        f"ANNEX_DEFAULT_SECRET_KEY_FILE = {_HOME}/secret\n"
        f"ANNEX_DEFAULT_S3_BUCKET = {_BUCKET}\n"
        f"ANNEX_DEFAULT_SFR_LEASE_FUNCTION_ARN = {lease}\n"
        f"ANNEX_DEFAULT_ODI_LEASE_FUNCTION_ARN = {lease}\n",
    )


if __name__ == "__main__":
    sys.exit(main())
