"""Recorded work, in each of the forms that it comes in."""

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
    later = found.shapes[found.shape[1]]
    assert (later.owner, later.cpus, later.memory_mib, later.executable) == ("user7", 8, 16, "program3")
    assert found.shapes[found.shape[0]].owner == "nobody"


def test_condor_history_with_expressions_evaluated_and_requirements_kept(tmp_path: Path) -> None:
    found = recorded(written(tmp_path, HISTORY))
    assert list(found.seconds) == [300]
    (shape,) = found.shapes
    assert (shape.owner, shape.cpus, shape.memory_mib) == ("alice", 2, 700)
    assert shape.requirements == "TARGET.HasDocker"
    assert shape.executable == "/home/alice/run.sh"


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
        ("", "holds no job"),
        ("dear diary\n", "no history"),
        ("; UnixStartTime: 0\n1 2 3 4 5 6 7 8 9 10 11\n1 2 3\n", "a line of 3 numbers"),
        (HISTORY.replace("1700000500", "1700000100"), "holds no job"),
    ],
    ids=["empty", "prose", "a torn line", "negative run time"],
)
def test_a_file_that_is_no_history_is_refused_with_the_reason(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        recorded(written(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="can't be read"):
        recorded(tmp_path / "none")
