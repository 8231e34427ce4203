"""check-setup's lines about the reaper."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from annex_core.account.checks import Place
from annex_core.account.code import reaper_sha256
from annex_core.account.reaper_checks import EVERY, ReaperFacts, RuleFacts, check_reaper

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PLACE = Place("aws", "123456789012", "us-east-2")
ARN = "arn:aws:lambda:us-east-2:123456789012:function:condor-annex-reaper"
RULE = RuleFacts(EVERY, enabled=True, targets=frozenset({ARN}))
RIGHT = ReaperFacts(ARN, reaper_sha256(), NOW - 99 * MINUTE, RULE, NOW - 4 * MINUTE, NOW)


def bad(facts: ReaperFacts | None) -> list[tuple[str, str]]:
    found = [(each.says, each.cure) for each in check_reaper(facts, PLACE) if not each.good]
    assert all(cure for _, cure in found)
    return found


def test_a_reaper_as_it_has_to_be_is_good() -> None:
    assert bad(RIGHT) == []


def test_no_function_is_said() -> None:
    assert bad(None) == [("there is no function condor-annex-reaper", "condor_annex setup -regions us-east-2")]


@pytest.mark.parametrize(
    ("facts", "says", "run"),
    [
        (replace(RIGHT, sha256="another"), "its code isn't this version's", "condor_annex setup"),
        (replace(RIGHT, rule=None), "there is no rule condor-annex-reaper", "delete-stack"),
        (replace(RIGHT, rule=replace(RULE, enabled=False)), "its rule is disabled", "enable-rule"),
        (replace(RIGHT, rule=replace(RULE, schedule="rate(1 day)")), "starts it at rate(1 day)", "put-rule"),
        (replace(RIGHT, rule=replace(RULE, targets=frozenset())), "its rule doesn't start it", "put-targets"),
        (replace(RIGHT, heartbeat=NOW - 16 * MINUTE), "no heartbeat since 2026-11-01 11:44 UTC", "logs tail"),
        (replace(RIGHT, heartbeat=None), "left no heartbeat yet", "logs tail"),
    ],
)
def test_each_thing_that_is_wrong_is_a_line_with_its_cure(facts: ReaperFacts, says: str, run: str) -> None:
    [(said, cure)] = bad(facts)
    assert says in said
    assert run in cure


def test_a_reaper_that_was_just_made_is_given_time_for_its_first_heartbeat() -> None:
    assert bad(replace(RIGHT, heartbeat=None, changed=NOW - MINUTE)) == []
