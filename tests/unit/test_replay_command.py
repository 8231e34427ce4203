"""condor_annex replay: its table, its document, its plot, and what it refuses."""

import json
from pathlib import Path

import pytest

from annex_core.cli import replay
from annex_core.cli.main import main
from tests.unit.test_workloads import SWF
from tests.unit.world import ROUTE

PNG = b"\x89PNG"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(replay, "known_routes", lambda _: [ROUTE])
    written = tmp_path / "month.swf"
    written.write_text(SWF)
    return str(written)


def test_the_table_has_a_line_for_each_route_and_policy(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", file, "-policy", "fixed:3", "-policy", "idle", "-policy", "oracle"]) == 0
    said = capsys.readouterr().out
    for line in ("route spot", "fixed annex of 3", "idle/3", "oracle", "2 jobs in 2 shapes"):
        assert line in said


def test_the_document_has_everything_curves_included(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", file, "-policy", "all", "-json", "-seed", "7"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["cloud"]["seed"] == 7
    assert len(document["outcomes"]) == 5
    planned = document["outcomes"][0]
    assert planned["name"] == "route spot"
    assert planned["jobs"] == 2
    assert max(planned["curves"]["busy"]) == 9
    assert planned["dollars"] > document["outcomes"][-1]["dollars"] > 0


def test_the_plot_is_drawn_as_png_and_svg(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    assert main(["replay", file, "-policy", "all", "-plot", str(tmp_path / "plot")]) == 0
    assert (tmp_path / "plot.png").read_bytes()[:4] == PNG
    drawn = (tmp_path / "plot.svg").read_text()
    for text in ("route spot", "feedback", "paid for", "wanted by jobs"):
        assert text in drawn
    assert "plot.png" in capsys.readouterr().err


def test_a_plot_that_can_not_be_written_is_a_failure(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    assert main(["replay", file, "-plot", "/nowhere/plot"]) == 1
    assert "can't be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-policy", "magic"], "there are fixed, feedback, idle, oracle and all"),
        (["-policy", "idle:0"], "a number above 0"),
        (["-policy", "fixed:-1"], "a number above 0"),
        (["-policy", "fixed:x"], "a number above 0"),
        (["-policy", "fixed:0.5"], "a whole number"),
        (["-boot", "soon"], "-boot soon"),
        (["-shortage", "1"], "-shortage 1"),
        (["-shortage", "nan"], "-shortage nan"),
        (["-interruptions", "-1"], "-interruptions -1"),
        (["-since", "yesterday"], "-since yesterday"),
    ],
)
def test_senseless_words_are_a_bad_command_line(
    file: str, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", file, *words]) == 2
    assert says in capsys.readouterr().err


def test_a_file_that_is_not_there_is_a_failure(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", file + ".gone"]) == 1
    assert "can't be read" in capsys.readouterr().err


def test_where_no_job_could_run_the_exit_status_says_so(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(file).write_text("1 10 3 600 500 -1 100 500 -1 2048 1 7 1 3 1 -1 -1 -1\n")
    assert main(["replay", file]) == 1
    assert "500 CPUs" in capsys.readouterr().out
