"""Is the reaper what it has to be, and does it run? Facts that AWS told, in; findings, out."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from annex_core.account.checks import Finding, Place
from annex_core.account.code import reaper_sha256
from annex_core.account.components import REAPER, REAPER_FUNCTION
from annex_core.model.signs import FRESH

EVERY = "rate(5 minutes)"


@dataclass(frozen=True)
class RuleFacts:
    schedule: str
    enabled: bool
    targets: frozenset[str]
    """ARNs of what it starts."""


@dataclass(frozen=True)
class ReaperFacts:
    arn: str
    sha256: str
    """Of its code, as Lambda says it."""
    changed: datetime
    """When its code or its settings were changed last."""
    rule: RuleFacts | None
    heartbeat: datetime | None
    """When it left its last one."""
    now: datetime
    """By AWS's clock."""


def check_reaper(facts: ReaperFacts | None, place: Place) -> Iterator[Finding]:
    """
    Args:
        facts: None where there is no function.
    """
    name = REAPER.name
    if facts is None:
        yield Finding(name, False, f"there is no function {REAPER_FUNCTION}", place.setup)
        return
    where = f"--region {place.region}"
    if facts.sha256 == reaper_sha256():
        yield Finding(name, True, "its code is this version's")
    else:
        anew = f"aws cloudformation delete-stack {where} --stack-name {REAPER.stack}"
        cure = f"{place.setup}; where that leaves it unchanged, before it: {anew}"
        yield Finding(name, False, "its code isn't this version's", cure)
    yield _rule(facts, place)
    yield _heartbeat(facts, where)


def _rule(facts: ReaperFacts, place: Place) -> Finding:
    name, rule = REAPER.name, facts.rule
    events = "aws events"
    options = f"--region {place.region}"
    if rule is None:
        cure = f"aws cloudformation delete-stack {options} --stack-name {REAPER.stack}; then {place.setup}"
        return Finding(name, False, f"there is no rule {REAPER_FUNCTION} that starts it", cure)
    if not rule.enabled:
        return Finding(name, False, "its rule is disabled", f"{events} enable-rule {options} --name {REAPER_FUNCTION}")
    if rule.schedule != EVERY:
        cure = f"{events} put-rule {options} --name {REAPER_FUNCTION} --schedule-expression '{EVERY}'"
        return Finding(name, False, f"its rule starts it at {rule.schedule or 'no time'}, not every 5 minutes", cure)
    if facts.arn not in rule.targets:
        cure = f"{events} put-targets {options} --rule {REAPER_FUNCTION} --targets Id=reaper,Arn={facts.arn}"
        return Finding(name, False, "its rule doesn't start it", cure)
    return Finding(name, True, "its rule starts it every 5 minutes")


def _heartbeat(facts: ReaperFacts, where: str) -> Finding:
    name = REAPER.name
    if facts.heartbeat and facts.now - facts.heartbeat <= FRESH:
        return Finding(name, True, f"left a heartbeat at {facts.heartbeat:%H:%M} UTC")
    if facts.now - facts.changed <= FRESH:
        return Finding(name, True, f"made or changed at {facts.changed:%H:%M} UTC: its heartbeat comes within minutes")
    since = f"since {facts.heartbeat:%Y-%m-%d %H:%M} UTC" if facts.heartbeat else "yet"
    cure = f"aws logs tail /aws/lambda/{REAPER_FUNCTION} {where} --since 1h"
    return Finding(name, False, f"left no heartbeat {since}; its log says why", cure)
