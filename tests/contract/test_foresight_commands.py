"""condor_annex plan and why as people see them: what the daemon answers, as a table."""

import io

import pytest

from annex_core.cli import plan, why
from annex_core.cli.screen import Screen
from tests.unit.test_foresight import AD, asked, foresight
from tests.unit.world import group, snapshot


def shown(show, answer, width=100):
    printed = io.StringIO()
    show(answer, Screen(printed, width=width))
    return printed.getvalue()


def test_a_plan_says_what_comes_at_what_price_until_when_and_which_caps_bind():
    said = shown(plan.show, asked(foresight()), 120)
    for words in (
        "8 jobs, nothing submitted. Annex blue would be made, with 1 machine (spot), by route spot in us-east-2.",
        "at once     1 machine at $0.69 an hour: c5.4xlarge",
        "Price:    $0.69 an hour, $0.69 at most",
        "Last job: ends after about",
        "Caps:     none binds",
    ):
        assert words in said
    assert "an hour is guessed" not in said


def test_what_is_not_known_is_said():
    said = shown(plan.show, asked(foresight(expect=None)))
    assert "an hour is guessed, and may be wrong by much" in " ".join(said.split())
    assert "?" in said


def test_jobs_that_no_type_runs_are_told_the_closest():
    said = " ".join(
        shown(plan.show, asked(foresight(), groups=[{"ad": AD.replace("2\n", "64\n", 1), "jobs": 1}])).split()
    )
    assert "with no machine (spot)" in said
    assert "1 job waits: no machine of route spot can run them, it asks for 64 CPUs, the largest type" in said
    assert "Last job: some of the jobs would never run" in said


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("gpus", [0, 8])
def test_no_line_of_the_tables_is_longer_than_the_screen(width, gpus):
    of = foresight(snapshot([group(idle=12345, cpus=16, memory_mib=30000, gpus=gpus), group(cpus=64)]))
    for show, verb in ((plan.show, "plan"), (why.show, "why")):
        lines = shown(show, asked(of, verb), width).splitlines()
        assert max(map(len, lines)) <= width


def test_why_shows_each_group_and_each_reason_once():
    of = foresight(snapshot([group(idle=500, cpus=16), group(idle=400, cpus=8), group(cpus=64)]))
    said = shown(why.show, asked(of, "why"))
    assert said.startswith("Annex blue:")
    flat = " ".join(said.split())
    assert flat.count("jobs wait: the cap of 10 machines is reached") == 1
    assert "1 job waits: no machine of route spot can run them, it asks for 64 CPUs" in flat
