"""The schedd's history, read as it grows."""

import json
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from annex_core.adapters.ads_text import Ad, NotAds, ads
from annex_core.adapters.history import History, Mark, finished, run_seconds
from annex_core.errors import Unavailable

LONG = """\
ClusterId = 7
ProcId = 0
Owner = "alice"
Cmd = "/bin/a"
RequestMemory = ifthenelse(MemoryUsage =!= undefined,MemoryUsage,(1024 + 1023) / 1024)
Requirements = (TARGET.Arch == "X86_64") && (TARGET.Disk >= RequestDisk)
Note = "a \\"quoted\\" word"
Noise = {1, 2}

ClusterId = 8
Owner = "bob"
OnTime = true
Weight = 1.5
"""
WANTED = ("ClusterId", "Owner", "RequestMemory", "Requirements", "Note", "OnTime", "Weight")


def test_long_ads_come_one_by_one_with_their_expressions_evaluated_and_requirements_as_text() -> None:
    first, second = ads(LONG.splitlines(keepends=True), WANTED)
    assert first == {
        "ClusterId": 7,
        "Owner": "alice",
        "RequestMemory": 1,
        "Requirements": '(TARGET.Arch == "X86_64") && (TARGET.Disk >= RequestDisk)',
        "Note": 'a "quoted" word',
    }
    assert second == {"ClusterId": 8, "Owner": "bob", "OnTime": True, "Weight": 1.5}


@pytest.mark.parametrize("form", ["array", "lines"])
def test_json_ads_are_read_as_an_array_and_as_one_a_line(form: str) -> None:
    some = [{"ClusterId": 7, "Owner": "a}\n{", "RequestMemory": "\\/Expr(1 + 1)\\/", "Noise": []}, {"ClusterId": 8}]
    text = json.dumps(some, indent=2) if form == "array" else "\n".join(map(json.dumps, some))
    assert list(ads(text.splitlines(keepends=True), WANTED)) == [
        {"ClusterId": 7, "Owner": "a}\n{", "RequestMemory": 2},
        {"ClusterId": 8},
    ]


@pytest.mark.parametrize("text", ["ClusterId = 7\nhello\n", "[\n{]\n", '[{"ClusterId": 7}, {"Owner": "al', "[1, 2]\n"])
def test_what_is_no_history_is_refused_with_the_place(text: str) -> None:
    with pytest.raises(NotAds):
        list(ads(text.splitlines(keepends=True), WANTED))


def ad(cluster: int, seconds: float = 100, **given: object) -> Ad:
    return {
        "ClusterId": cluster,
        "ProcId": 0,
        "JobStatus": 4,
        "Owner": "alice",
        "Cmd": "/bin/a",
        "JobCurrentStartExecutingDate": 1000,
        "CompletionDate": 1000 + seconds,
        **given,
    }


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, 100),
        ({"JobCurrentStartExecutingDate": 2000, "RemoteWallClockTime": 40.0}, 40),
        ({"CompletionDate": 0}, 0),
        ({"CompletionDate": float("inf"), "RemoteWallClockTime": "x"}, 0),
    ],
)
def test_a_run_time_is_that_of_the_last_run_or_else_the_wall_clocks(given: Ad, seconds: float) -> None:
    assert run_seconds({**ad(1), **given}) == seconds


def test_jobs_that_were_removed_tell_nothing() -> None:
    assert finished(ad(1, JobStatus=3)) is None


class Schedd:
    """A history that grows, read as condor_history does: newest first, down to the mark."""

    def __init__(self) -> None:
        self.jobs: list[Ad] = []
        self.asked: list[Mark | None] = []

    def __call__(self, mark: Mark | None) -> Iterable[Ad]:
        self.asked.append(mark)
        for each in reversed(self.jobs):
            if mark == (each["ClusterId"], each["ProcId"]):
                return
            yield each


def test_each_look_reads_what_is_new_and_a_restart_goes_on_from_there(tmp_path: Path) -> None:
    schedd = Schedd()
    history = History(tmp_path / "runtimes.json", schedd)
    schedd.jobs = [ad(n) for n in range(1, 6)]
    assert (history.look(), history.look()) == (5, 0)
    schedd.jobs += [ad(6, 100), ad(7, JobStatus=3)]
    again = History(tmp_path / "runtimes.json", schedd)
    assert again.look() == 1
    assert schedd.asked == [None, (5, 0), (5, 0)]
    assert again.expected("alice", "/bin/a", "").jobs == 6
    assert again.expected("alice", "/bin/a", "").mean == timedelta(seconds=100)


def test_a_file_that_is_broken_costs_what_was_learned_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "runtimes.json").write_text('{"form": 1, "kinds": [[1]]')
    schedd = Schedd()
    schedd.jobs = [ad(n) for n in range(5)]
    history = History(tmp_path / "runtimes.json", schedd)
    assert history.look() == 5
    assert history.expected("alice", "/bin/a", "").sure


def test_a_history_that_breaks_off_teaches_nothing_and_is_read_again(tmp_path: Path) -> None:
    def broken(_mark: Mark | None) -> Iterable[Ad]:
        yield ad(9)
        raise Unavailable("condor_history failed")

    history = History(tmp_path / "runtimes.json", broken)
    with pytest.raises(Unavailable):
        history.look()
    assert not (tmp_path / "runtimes.json").exists()
    assert not history.expected("alice", "/bin/a", "").sure


class SeenEnoughError(Exception):
    """Ends a watch."""


def test_a_look_that_fails_in_a_way_that_nobody_knows_is_told_once_and_the_next_one_learns(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    schedd = Schedd()
    schedd.jobs = [ad(n) for n in range(1, 6)]
    looks = 0

    def odd(mark: Mark | None) -> Iterable[Ad]:
        nonlocal looks
        looks += 1
        if looks < 3:
            raise RecursionError("what a later HTCondor may do")
        return schedd(mark)

    def wait() -> None:
        if looks == 3:
            raise SeenEnoughError

    history = History(tmp_path / "runtimes.json", odd)
    with pytest.raises(SeenEnoughError):
        history.watch(wait)
    assert history.expected("alice", "/bin/a", "").jobs == 5
    (told,) = [each for each in caplog.records if each.levelname == "WARNING"]
    assert told.message == "run times are not learned: what a later HTCondor may do"
    assert told.exc_info
