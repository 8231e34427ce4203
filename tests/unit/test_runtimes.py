"""How long jobs run, learned from those that have finished."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annex_core.model.runtime import Runtime, mixed
from annex_core.planner.runtimes import KINDS_KEPT, PRIOR, Finished, Runtimes


def learned(*seconds: float, owner: str = "alice", executable: str = "/bin/a", batch: str = "") -> Runtimes:
    runtimes = Runtimes()
    for each in seconds:
        runtimes.learn(Finished(owner, executable, batch, each))
    return runtimes


def test_without_history_a_run_time_is_a_guess_that_holds_nothing_back() -> None:
    assert learned().expected("alice", "/bin/a") == PRIOR
    assert not PRIOR.sure


def test_mean_and_spread_are_those_of_the_finished_jobs() -> None:
    found = learned(80, 100, 120, 80, 120).expected("alice", "/bin/a")
    assert found.mean == timedelta(seconds=100)
    assert found.spread.total_seconds() == pytest.approx(17.9, abs=0.1)
    assert (found.jobs, found.sure) == (5, True)


def test_a_batch_of_which_too_few_have_finished_is_expected_to_run_as_its_program_does() -> None:
    runtimes = learned(*[100] * 9, batch="old")
    runtimes.learn(Finished("alice", "/bin/a", "new", 5000))
    assert runtimes.expected("alice", "/bin/a", "old").mean == timedelta(seconds=100)
    assert runtimes.expected("alice", "/bin/a", "new").mean == timedelta(seconds=590)


def test_a_new_program_is_expected_to_run_as_its_owners_jobs_do_and_not_as_anothers() -> None:
    runtimes = learned(*[100] * 9)
    assert runtimes.expected("alice", "/bin/b").mean == timedelta(seconds=100)
    assert runtimes.expected("bob", "/bin/a") == PRIOR


@pytest.mark.parametrize("senseless", [0, -5, float("inf"), float("nan"), 1e12])
def test_run_times_that_no_job_can_have_are_left_out_and_counted(senseless: float) -> None:
    runtimes = learned(*[100] * 5, senseless)
    assert runtimes.expected("alice", "/bin/a").mean == timedelta(seconds=100)
    assert runtimes.senseless == 1


def test_what_finished_lately_counts_more_than_what_did_long_ago() -> None:
    runtimes = learned(*[1000] * 1000, *[100] * 1000)
    assert runtimes.expected("alice", "/bin/a").mean < timedelta(seconds=110)


def test_kinds_that_were_not_seen_for_longest_are_forgotten_and_the_owners_stay() -> None:
    runtimes = Runtimes()
    for number in range(KINDS_KEPT + 10):
        runtimes.learn(Finished("alice", "/bin/a", f"batch-{number}", 100))
    kinds = [kind for kind, _ in runtimes.items()]
    assert len(kinds) == KINDS_KEPT
    assert ("alice",) in kinds
    assert ("alice", "/bin/a", "batch-0") not in kinds


@given(st.lists(st.floats(1, 1e6), min_size=5, max_size=60))
def test_the_mean_lies_among_what_was_seen(seconds: list[float]) -> None:
    found = learned(*seconds).expected("alice", "/bin/a")
    assert min(seconds) * 0.999 <= found.mean.total_seconds() <= max(seconds) * 1.001
    assert found.spread >= timedelta(0)


def test_jobs_of_several_kinds_vary_by_the_difference_of_the_kinds_too() -> None:
    short, long = (Runtime(timedelta(seconds=each), timedelta(0), jobs) for each, jobs in ((100, 50), (300, 7)))
    found = mixed([(short, 10), (long, 10)])
    assert found is not None
    assert (found.mean, found.spread) == (timedelta(seconds=200), timedelta(seconds=100))
    assert found.jobs == 7
    assert mixed([]) is None
