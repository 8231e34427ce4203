"""What a rehearsal came to: how long each step took, what AWS was asked, what carries which tags, what went wrong."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import boto3
from rich.console import Console
from rich.table import Table

from rehearsal.scene import Scene
from rehearsal.stage import Stage

_TAGS = frozenset(
    f"htcondor:{name}"
    for name in ("ProjectID", "AnnexName", "Owner", "Route", "Pool", "AccessPoint", "LeaseEnds", "EndsAtLatest")
)
"""What docs/admins.md promises of every fleet request and instance."""
_TAIL = 15
"""Lines of a console or a log."""
_INDENT = " " * 4


@dataclass(frozen=True)
class Rented:
    """A fleet request or an instance, as AWS lists it."""

    id: str
    kind: str
    state: str
    tags: tuple[tuple[str, str], ...]

    @property
    def is_live(self) -> bool:
        return self.state != "terminated" and not self.state.startswith("cancelled")

    @property
    def key(self) -> tuple[str, str]:
        """Owner and annex."""
        tags = dict(self.tags)
        return tags.get("htcondor:Owner", ""), tags.get("htcondor:AnnexName", "")


def rented(on: Stage) -> list[Rented]:
    """All there ever was, by AWS's own API; the fleets first."""
    ec2 = boto3.client(
        "ec2",
        region_name="us-east-2",
        endpoint_url=on.cloud.url,
        aws_access_key_id="rehearsal",
        aws_secret_access_key="rehearsal",  # noqa: S106 - the local cloud takes any
    )
    fleets = ec2.get_paginator("describe_spot_fleet_requests").paginate().search("SpotFleetRequestConfigs[]")
    instances = ec2.get_paginator("describe_instances").paginate().search("Reservations[].Instances[]")
    return [
        *(_rented("fleet", each["SpotFleetRequestId"], each["SpotFleetRequestState"], each) for each in fleets),
        *(_rented("instance", each["InstanceId"], each["State"]["Name"], each) for each in instances),
    ]


def _rented(kind: str, name: str, state: str, listed: Any) -> Rented:
    tags = ((tag["Key"], tag["Value"]) for tag in listed.get("Tags", ()))
    return Rented(name, kind, state, tuple(sorted(tag for tag in tags if tag[0] in _TAGS)))


def faults(things: Sequence[Rented]) -> Iterator[str]:
    """What is still running or open, and what is not tagged as it should be."""
    for thing in things:
        if thing.is_live:
            yield f"{thing.kind} {thing.id} is {thing.state}"
        missing = _TAGS - {name for name, _ in thing.tags}
        if missing:
            yield f"{thing.kind} {thing.id} has no tag {', '.join(sorted(missing))}"


def show(scene: Scene, calls: Sequence[dict[str, Any]], things: Sequence[Rented], console: Console) -> None:
    """
    Args:
        calls: Those to tell of.
    """
    console.print("", "[bold]Seconds from submit[/]", _seconds(scene, calls, things), sep="\n")
    console.print("", "[bold]AWS calls[/]", _calls(calls), sep="\n")
    console.print("", "[bold]Tags on each fleet and instance[/]", sep="\n")
    for tags in dict.fromkeys(thing.tags for thing in things):
        carriers = [thing for thing in things if thing.tags == tags]
        for kind in ("fleet", "instance"):
            names = [thing.id for thing in carriers if thing.kind == kind]
            listed = textwrap.wrap(" ".join(names), 68, break_on_hyphens=False)
            for title, some in zip_longest([f"{kind}{'s' * (len(names) > 1)}"], listed, fillvalue=""):
                console.print(f"  {title:<10}{some}")
        for name, value in tags:
            console.print(f"{_INDENT}{name:<24}{value}", markup=False)
    console.print()


def _seconds(scene: Scene, calls: Sequence[dict[str, Any]], things: Sequence[Rented]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for name in ("annex", "owner"):
        table.add_column(name, vertical="bottom")
    for name in ("fleet\nrequest", "first\nslot", "first job\nstart", "last job\ndone", "last instance\ngone"):
        table.add_column(name, justify="right")
    ended = {machine["id"]: machine["ended_at"] for machine in scene.on.cloud.machines()}
    for load in scene.loads:
        history = scene.on.pool.history(f"ClusterId == {load.cluster}")
        annex = scene.annexes[load.key]["id"]
        moments = [
            fleet_request(calls, annex),
            scene.first_slot.get(load.key),
            min((job["JobStartDate"] for job in history), default=None),
            max((job["CompletionDate"] for job in history), default=None),
            max((ended[thing.id] for thing in things if thing.key == load.key and ended.get(thing.id)), default=None),
        ]
        table.add_row(load.annex, load.user, *(seconds(at, since=load.submitted) for at in moments))
    return table


def fleet_request(calls: Iterable[dict[str, Any]], annex: str) -> float | None:
    """
    Epoch seconds of the annex's first fleet request that AWS took.

    Args:
        annex: Its id, which the client tokens of all its calls begin with.
    """
    taken = (call for call in calls if call["action"] == "RequestSpotFleet" and call["status"] == 200)
    return min((call["at"] for call in taken if call["token"].split("_")[0] == annex), default=None)


def seconds(at: float | None, *, since: float) -> str:
    """From one moment to another; HTCondor's stamps, which are whole seconds, make whole seconds."""
    if at is None:
        return "-"
    return str(at - int(since)) if isinstance(at, int) else f"{at - since:.1f}"


def _calls(calls: Sequence[dict[str, Any]]) -> Table:
    """By name, most first, in two columns that are read downwards."""
    counted = Counter(call["action"] for call in calls).most_common()
    half = (len(counted) + 1) // 2
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), show_header=False)
    for left, right in zip(counted[:half], [*counted[half:], ("", "")], strict=False):
        table.add_row(str(left[1]), left[0], str(right[1]), right[0])
    return table


def explain(scene: Scene, found: Sequence[str], things: Sequence[Rented], console: Console) -> None:
    """What is wrong, and what is still there: jobs, machines with the end of their consoles, the daemon's log."""

    def say(text: str, style: str = "") -> None:
        console.print(text, style=style, markup=False)

    for fault in found[:_TAIL]:
        say(fault, "red")
    if len(found) > _TAIL:
        say(f"and {len(found) - _TAIL} more", "red")
    for job in scene.on.pool.jobs("AnnexProject =!= undefined")[:_TAIL]:
        reason = job.get("HoldReason") or job.get("AnnexStatus") or ""
        say(f"\njob {job['ClusterId']}.{job['ProcId']}, JobStatus {job['JobStatus']}: {reason}")
    annexes = {thing.id: " of ".join(reversed(thing.key)) for thing in things}
    for machine in scene.on.cloud.machines():
        if machine["state"] != "terminated":
            whose = f"{machine['id']} ({machine['type']}, annex {annexes.get(machine['id'], 'unknown')})"
            say(f"\n{whose} is {machine['state']}{'; its console ends:' if machine['console'] else ''}")
            say(_end(machine["console"]))
    for name, text in scene.on.pool.logs().items():
        if name == "AnnexdLog":
            say(f"\n{name} ends:\n{_end(text)}")


def _end(text: str) -> str:
    return "\n".join(_INDENT + line for line in text.splitlines()[-_TAIL:])
