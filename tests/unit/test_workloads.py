"""Recorded work, in each of the forms that it comes in."""

from math import inf
from pathlib import Path

import pytest

from annex_core.adapters.workloads import recorded
from annex_core.errors import Refused

SWF = """; Version: 2.2
; UnixStartTime: 1700000000
1 10 3 600 4 -1 100 8 -1 2048 1 7 1 3 1 -1 -1 -1
2 5 3 60 1 -1 512 -1 -1 -1 1 -1 1 -1 1 -1 -1 -1
3 20 3 -1 1 -1 -1 1 -1 -1 0 7 1 3 1 -1 -1 -1
"""

HISTORY = """ClusterId = 1
JobStatus = 4
JobUniverse = 5
Owner = "alice"
Cmd = "/home/alice/run.sh"
QDate = 1700000100
JobCurrentStartExecutingDate = 1700000200
CompletionDate = 1700000500
RequestCpus = 2
MemoryUsage = 700
RequestMemory = ifThenElse(MemoryUsage isnt undefined, MemoryUsage, 128)
Requirements = TARGET.HasDocker

ClusterId = 2
JobStatus = 3
JobUniverse = 5
Owner = "alice"
QDate = 1700000100
CompletionDate = 0

"""

LOG = """107 1 CreationTimestamp 1700000000
105
101 01.-1 Job Machine
103 01.-1 Owner "bob"
103 01.-1 QDate 1700000000
103 01.-1 JobUniverse 5
103 01.-1 RequestCpus 4
103 01.-1 Cmd "/bin/solve"
101 1.0 Job Machine
101 1.1 Job Machine
103 1.0 JobStatus 4
103 1.0 JobCurrentStartExecutingDate 1700000010
103 1.0 CompletionDate 1700000070
103 1.1 JobStatus 1
102 1.0
106
"""


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "recorded"
    file.write_text(text)
    return file


def test_swf(tmp_path: Path) -> None:
    found = recorded(written(tmp_path, SWF))
    assert list(found.submitted) == [1700000005, 1700000010]
    assert list(found.seconds) == [60, 600]
    assert list(found.began) == [1700000008, 1700000013]
    later = found.shapes[found.shape[1]]
    assert (later.owner, later.cpus, later.memory_mib, later.executable) == ("user7", 8, 16, "program3")
    assert found.shapes[found.shape[0]].owner == "nobody"


def test_condor_history_with_expressions_evaluated_and_requirements_kept(tmp_path: Path) -> None:
    found = recorded(written(tmp_path, HISTORY))
    assert list(found.seconds) == [300]
    assert list(found.began) == [1700000200]
    (shape,) = found.shapes
    assert (shape.owner, shape.cpus, shape.memory_mib) == ("alice", 2, 700)
    assert shape.requirements == "TARGET.HasDocker"
    assert shape.executable == "/home/alice/run.sh"


def test_a_job_began_when_it_first_did_if_that_can_be_and_is_known(tmp_path: Path) -> None:
    for line, began in (("JobStartDate = 1700000150", 1700000150), ("JobStartDate = 1600000000", inf)):
        found = recorded(written(tmp_path, HISTORY.replace("QDate", f"{line}\nQDate", 1)))
        assert list(found.began) == [began]
    assert list(recorded(written(tmp_path, SWF.replace("10 3 600", "10 -1 600"))).began) == [1700000008, inf]


def test_a_job_of_a_log_has_its_clusters_attributes_and_an_unfinished_one_is_left_out(tmp_path: Path) -> None:
    found = recorded(written(tmp_path, LOG))
    assert list(found.seconds) == [60]
    (shape,) = found.shapes
    assert (shape.owner, shape.cpus, shape.executable) == ("bob", 4, "/bin/solve")


def test_what_was_submitted_before_is_left_out(tmp_path: Path) -> None:
    assert list(recorded(written(tmp_path, SWF), since=1700000008).seconds) == [600]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dear diary\n", "no history"),
        ("; UnixStartTime: 0\n1 2 3 4 5 6 7 8 9 10 11\n1 2 3\n", "a line of 3 numbers"),
        (HISTORY.replace("1700000500", "1700000100"), "holds no job"),
    ],
    ids=["prose", "a torn line", "negative run time"],
)
def test_a_file_that_is_no_history_is_refused_with_the_reason(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        recorded(written(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="can't be read"):
        recorded(tmp_path / "none")


def swf(*jobs: tuple[float, float], end: str = "\n") -> str:
    """Jobs by submission and run time."""
    lines = [f"{n} {at:g} 0 {ran:g} 1 -1 -1 1 -1 -1 1 1 1 1 1 -1 -1 -1" for n, (at, ran) in enumerate(jobs, 1)]
    return "\n".join(lines) + end


def test_run_times_of_nothing_or_less_or_for_ever_are_left_out_and_counted(tmp_path: Path) -> None:
    found = recorded(written(tmp_path, swf((1, 60), (2, 0), (3, -7), (4, 1e12))))
    assert list(found.seconds) == [60]
    assert found.left_out == {"that ran for no time, or for less": 2, "that ran for longer than any job does": 1}


def test_clocks_that_go_back_change_the_order_and_nothing_else(tmp_path: Path) -> None:
    found = recorded(written(tmp_path, swf((100, 60), (5, 30), (-40, 10))))
    assert list(found.submitted) == [5, 100]
    assert found.left_out == {"that were submitted at no moment that can be": 1}


@pytest.mark.parametrize(
    ("changed", "seconds"),
    [
        ("CompletionDate = 1700000100", 77),  # it ended before it began
        ("CompletionDate = -1", 77),
        ("JobCurrentStartExecutingDate = 99999999999", 77),
    ],
)
def test_a_run_that_ended_before_it_began_is_as_long_as_its_wall_clock(
    tmp_path: Path, changed: str, seconds: float
) -> None:
    name = changed.partition(" ")[0]
    lines = [changed if line.startswith(name) else line for line in HISTORY.splitlines()]
    found = recorded(written(tmp_path, "\n".join(["RemoteWallClockTime = 77.0", *lines, ""])))
    assert list(found.seconds) == [seconds]


def test_an_ad_without_a_moment_of_submission_is_counted_as_left_out(tmp_path: Path) -> None:
    text = HISTORY + HISTORY.replace("QDate = 1700000100", "QDate = 0")
    assert recorded(written(tmp_path, text)).left_out == {"that were submitted at no moment that can be": 1}


ONE_AD = HISTORY.partition("\n\n")[0]


@pytest.mark.parametrize(
    "text",
    [
        HISTORY + ONE_AD[:-20],
        HISTORY + ONE_AD[: ONE_AD.index("RequestCpus") + 7],
        '[{"JobStatus": 4, "QDate": 1, "RemoteWallClockTime": 5}, {"JobStatus": 4, "QDa',
        swf((1, 60)) + "2 5 0 60 1 -1 -1",
        swf((1, 60)) + "2 5",
    ],
    ids=["long, in a value", "long, in a name", "JSON", "SWF", "SWF, two numbers"],
)
def test_a_last_job_that_is_half_written_is_left_out_and_told(tmp_path: Path, text: str) -> None:
    found = recorded(written(tmp_path, text))
    assert len(found) == 1
    assert found.left_out == {"that the file's end cuts off": 1}


def test_half_a_line_at_the_end_of_a_log_is_not_read(tmp_path: Path) -> None:
    found = recorded(written(tmp_path, LOG.replace("106\n", "103 01.-1 RequestCpus 40")))
    assert [shape.cpus for shape in found.shapes] == [4]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("\n\n", "holds no job that ran to its end"),
        (swf((1, 0)), "holds no job that ran to its end; 1 job that ran for no time, or for less"),
        (swf((1, 60)) + "2 5 0 60\n" + swf((3, 4)), "a line of 4 numbers, where SWF has 18"),
        (swf((1, 60)).replace("60", "9" * 400), "is no number that can be"),
        (swf((1, 60)).replace("60", "6.0.0"), "is no history"),
    ],
    ids=["empty", "empty lines", "no run time", "a short line within", "too many digits", "two points"],
)
def test_a_history_without_sense_is_refused_with_the_reason(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        recorded(written(tmp_path, text))


def test_a_directory_is_no_history(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=f"{tmp_path} can't be read: Is a directory"):
        recorded(tmp_path)
