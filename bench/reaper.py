"""
One run of the reaper over a crowded region: how many calls it makes, and how long it takes.

EC2 and Systems Manager are answered on loopback from what is written below, so that botocore's own pagination, retries
and parsing are in the figures and AWS's time isn't. The ratio of calls to the limit is printed last.
"""

import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar
from urllib.parse import parse_qs

import boto3

from annex_core.model import tags
from annex_core.reaper.region import Region
from annex_core.reaper.run import Report, run

FLEETS, DUE_FLEETS = 1_000, 10
INSTANCES, DUE_INSTANCES = 3_000, 30
CALLS = 10
PAGE = 1_000
SIGNED_BY = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "hush"}

NOW = datetime.now(UTC)
_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"


def main() -> int:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        report, seconds = one_run(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
    assert (report.fleets, report.instances) == (FLEETS, INSTANCES), report
    assert sorted(report.ended) == sorted([*map(fleet_id, range(DUE_FLEETS)), *map(instance_id, range(DUE_INSTANCES))])
    assert not report.trouble, report.trouble
    assert Answers.calls["PutParameter"] == 1, "no heartbeat"
    limit = CALLS + -(-INSTANCES // 1000) + -(-FLEETS // 1000)
    calls = Answers.calls.total()
    print(
        f"{FLEETS} fleets and {INSTANCES} instances, of which {DUE_FLEETS} and {DUE_INSTANCES} are due, in one region"
    )
    print(", ".join(f"{count} {name}" for name, count in Answers.calls.items()))
    print(f"{calls} calls, limit {limit}; {seconds:.2f} s")
    print(f"ratio {calls / limit:.2f}")
    return 0 if calls <= limit else 1


def one_run(url: str) -> tuple[Report, float]:
    session = boto3.Session(region_name="us-east-2", **SIGNED_BY)
    ec2, ssm = session.client("ec2", endpoint_url=url), session.client("ssm", endpoint_url=url)
    began = time.perf_counter()
    region = Region(ec2, ssm, clock=lambda: datetime.now(UTC))
    report = run(region, lambda *_: None, version="bench")
    return report, time.perf_counter() - began


def fleet_id(n: int) -> str:
    return f"sfr-{n:08x}-0000-0000-0000-000000000000"


def instance_id(n: int) -> str:
    return f"i-{n:017x}"


class Answers(BaseHTTPRequestHandler):
    """The region: the first of the fleets and of the instances are due."""

    protocol_version = "HTTP/1.1"
    calls: ClassVar[Counter[str]] = Counter()
    ended: ClassVar[set[str]] = set()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        target = self.headers.get("X-Amz-Target")
        if target:
            action = target.rpartition(".")[2]
            answer = "{}" if action == "PutParameter" else '{"Parameter": {"Name": "freeze", "Value": "[]"}}'
        else:
            form = {key: values[0] for key, values in parse_qs(body).items()}
            action = form["Action"]
            answer = f'<{action}Response xmlns="{_NAMESPACE}">{ANSWERS[action](form)}</{action}Response>'
        Answers.calls[action] += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer.encode())))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_: Any) -> None:
        pass


def fleets(form: dict[str, str]) -> str:
    return listed(form, named(form, "SpotFleetRequestId."), fleet_id, FLEETS, fleet, "spotFleetRequestConfigSet")


def instances(form: dict[str, str]) -> str:
    asked = named(form, "Filter.1.Value.") if form["Filter.1.Name"] == "instance-id" else []
    return listed(form, asked, instance_id, INSTANCES, instance, "reservationSet")


def listed(form: dict[str, str], asked: list[str], id_of: Any, count: int, entry: Any, element: str) -> str:
    """A page of all there are, or those asked for."""
    every = asked or [id_of(n) for n in range(count)]
    start, size = int(form.get("NextToken", 0)), min(int(form.get("MaxResults", PAGE)), PAGE)
    number = {id_of(n): n for n in range(count)}
    entries = "".join(entry(each, number[each]) for each in every[start : start + size])
    more = f"<nextToken>{start + size}</nextToken>" if start + size < len(every) else ""
    return f"<{element}>{entries}</{element}>{more}"


def named(form: dict[str, str], prefix: str) -> list[str]:
    return [value for key, value in form.items() if key.startswith(prefix)]


def carried(*, due: bool) -> str:
    ends = NOW - timedelta(hours=1) if due else NOW + timedelta(hours=1)
    its = {
        tags.POOL: "ap.example.org",
        tags.ACCESS_POINT: "ap.example.org",
        tags.OWNER: "alice",
        tags.NAME: "blue",
        tags.PROJECT: "vela",
        tags.ROUTE: "aws",
        tags.LEASE_ENDS: tags.stamp(ends),
        tags.ENDS_AT_LATEST: tags.stamp(NOW + timedelta(hours=24)),
    }
    return "".join(f"<item><key>{key}</key><value>{value}</value></item>" for key, value in its.items())


def fleet(name: str, n: int) -> str:
    state = "cancelled_terminating" if name in Answers.ended else "active"
    return (
        f"<item><spotFleetRequestId>{name}</spotFleetRequestId><spotFleetRequestState>{state}</spotFleetRequestState>"
        f"<createTime>{NOW - timedelta(hours=3):%Y-%m-%dT%H:%M:%S.000Z}</createTime><spotFleetRequestConfig>"
        "<targetCapacity>3</targetCapacity><fulfilledCapacity>3.0</fulfilledCapacity></spotFleetRequestConfig>"
        f"<tagSet>{carried(due=n < DUE_FLEETS)}</tagSet></item>"
    )


def instance(name: str, n: int) -> str:
    return (
        f"<item><instancesSet><item><instanceId>{name}</instanceId><instanceState><code>16</code><name>running</name>"
        f"</instanceState><launchTime>{NOW - timedelta(hours=3):%Y-%m-%dT%H:%M:%S.000Z}</launchTime>"
        f"<tagSet>{carried(due=n < DUE_INSTANCES)}</tagSet></item></instancesSet></item>"
    )


def cancelled(form: dict[str, str]) -> str:
    asked = named(form, "SpotFleetRequestId.")
    assert form["TerminateInstances"] == "true"
    Answers.ended.update(asked)
    items = "".join(f"<item><spotFleetRequestId>{each}</spotFleetRequestId></item>" for each in asked)
    return f"<successfulFleetRequestSet>{items}</successfulFleetRequestSet><unsuccessfulFleetRequestSet/>"


def terminated(form: dict[str, str]) -> str:
    asked = named(form, "InstanceId.")
    items = "".join(f"<item><instanceId>{each}</instanceId></item>" for each in asked)
    return f"<instancesSet>{items}</instancesSet>"


ANSWERS: dict[str, Any] = {
    "DescribeSpotFleetRequests": fleets,
    "DescribeInstances": instances,
    "CancelSpotFleetRequests": cancelled,
    "TerminateInstances": terminated,
    "DescribeLaunchTemplates": lambda _: "<launchTemplates/>",
    "DescribeSpotInstanceRequests": lambda _: "<spotInstanceRequestSet/>",
}


if __name__ == "__main__":
    sys.exit(main())
