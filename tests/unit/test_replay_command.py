"""condor_annex replay: its table, its document, its plot, and what it refuses."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from annex_core.adapters.pool_limits import pool_limits, read
from annex_core.adapters.routes import Reading
from annex_core.cli import replay
from annex_core.cli.main import main
from annex_core.model.route import Market, Route
from tests.unit.test_workloads import SWF
from tests.unit.world import ROUTE

PNG = b"\x89PNG"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(replay, "known_routes", lambda: Reading({ROUTE.name: ROUTE}, {}, ()))
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


def replayed_by(
    *routes: Route, file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[dict[str, Any]]:
    """Outcomes of routes in a cloud that is short of most types most of the time."""
    monkeypatch.setattr(replay, "known_routes", lambda: Reading({each.name: each for each in routes}, {}, ()))
    assert main(["replay", file, "-json", "-shortage", "0.9", "-seed", "1"]) == 0
    outcomes: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["outcomes"]
    return outcomes


def test_a_route_falls_back_on_those_that_it_names(
    file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lasting = replace(ROUTE, name="lasting", market=Market.ON_DEMAND)
    falling = replace(ROUTE, name="falling", fallback=("lasting", "gone"))
    found = replayed_by(falling, lasting, ROUTE, file=file, monkeypatch=monkeypatch, capsys=capsys)
    waits = {each["name"]: each["mean_wait"] for each in found}
    assert waits["route lasting"] < waits["route falling"] < waits["route spot"]


def test_whoever_signs_a_routes_calls_pays_the_same(
    file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = replace(ROUTE, name="own", credentials="owner")
    first, second = replayed_by(own, ROUTE, file=file, monkeypatch=monkeypatch, capsys=capsys)
    assert first | {"name": ""} == second | {"name": ""}


def test_how_many_jobs_ran_at_home_is_told(
    file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bursting = replace(ROUTE, after=timedelta(seconds=5))
    monkeypatch.setattr(replay, "known_routes", lambda: Reading({"spot": bursting}, {}, ()))
    assert main(["replay", file]) == 0
    assert "route spot: 2 jobs began at home before the annex had a slot for them" in capsys.readouterr().out


def test_annex_limits_bind_routes_and_are_refused_where_they_make_no_sense(
    file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(replay, "pool_limits", lambda: read("pool Budget=0"))
    assert main(["replay", file, "-policy", "fixed"]) == 0
    assert "route spot: 2 jobs still waited when nothing more was to come" in capsys.readouterr().out
    monkeypatch.setattr(replay, "pool_limits", lambda: pool_limits({"ANNEX_LIMITS": "everybody Budget=1"}))
    assert main(["replay", file]) == 1
    assert "ANNEX_LIMITS can't be read: 'everybody Budget=1'" in capsys.readouterr().err
