"""condor_annex status, against a socket that answers as the daemon would."""

import io
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from annex_core.adapters import wire
from annex_core.adapters.schemas import schema
from annex_core.cli.main import main
from annex_core.cli.screen import Screen
from annex_core.cli.status import show

MACHINE = {
    "id": "i-0123456789abcdef0",
    "type": "c7i.large",
    "zone": "us-east-2a",
    "state": "running",
    "launched": "2026-11-21T08:20:00Z",
    "joined": None,
    "interrupted": None,
    "draining": False,
}
FLEET = {"id": "sfr-1", "state": "active", "target": 10, "fulfilled": 8.0, "open": 2}


def annex(name: str = "blue", owner: str = "alice", **other: Any) -> dict[str, Any]:
    return {
        "owner": owner,
        "name": name,
        "id": "blue-0123456789",
        "project": "cms",
        "route": "aws",
        "pilot": False,
        "lease_ends": "2026-11-21T16:30:00Z",
        "ends_at_latest": "2026-11-22T08:30:00Z",
        "frozen": None,
        "ending": None,
        "orders": [],
        "decided": {"command": {}, "job": {}},
        "status": f"Annex {name}: 2 machines are on their way.",
        "jobs": {"idle": 12345, "running": 30, "at_home": 0, "held": 1},
        "fleets": [FLEET],
        "instances": {"asked": 10, "pending": 2, "booting": 1, "joined": 7, "gone": 0, "list": [MACHINE]},
        "never_joined": [],
        "interruptions": {"machines": 0, "jobs": 0, "lost_s": 0},
        "hourly_cost": "0.714",
        "spent_estimate": None,
    } | other


def answer(*annexes: dict[str, Any], **other: Any) -> dict[str, Any]:
    empty = {"as_of": "2026-11-21T08:30:00Z", "refused_routes": {}, "troubles": []}
    return empty | {"annexes": list(annexes)} | other


def shown(known: dict[str, Any], *, width: int = 80, details: bool = False) -> str:
    printed = io.StringIO()
    show(known, Screen(printed, width=width), details=details)
    return printed.getvalue()


Requests = list[bytes]


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], Requests]]:
    """Answers one request with the frame given, and shows what it was asked."""
    path = tmp_path / "annexd.sock"
    monkeypatch.setenv("ANNEXD_SOCKET", str(path))
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()
    threads: list[threading.Thread] = []

    def start(frame: bytes) -> Requests:
        asked: Requests = []

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                asked.append(connection.recv(65536))
                connection.sendall(frame)

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[-1].start()
        return asked

    yield start
    listening.close()
    for thread in threads:
        thread.join(5)


def ok(known: dict[str, Any]) -> bytes:
    return wire.encode_ok(json.dumps(known).encode())


def test_the_answer_that_these_tests_show_is_one_by_the_schema() -> None:
    Draft202012Validator(schema("status")).validate(answer(annex(), annex(lease_ends=None, id=None)))


@pytest.mark.parametrize("name", ["status", "status-request"])
def test_the_schemas_are_schemas(name: str) -> None:
    Draft202012Validator.check_schema(schema(name))


def test_the_table_has_every_number_whole_in_80_columns() -> None:
    text = shown(answer(annex("a-name-of-thirty-seven-characters-abc"), annex(owner="christopher-robin")))

    row = next(line for line in text.splitlines() if line.startswith("a-name"))
    assert row.split()[-10:] == ["12345", "30", "1", "2", "1", "7", "0", "8h00m", "0.71", "?"]
    assert all(len(line) <= 80 for line in text.splitlines())


def test_every_annexs_sentence_is_shown() -> None:
    assert "Annex blue: 2 machines are on their way." in shown(answer(annex()))


def test_owners_are_named_when_there_are_several() -> None:
    assert "OWNER" not in shown(answer(annex()))
    assert "bob: Annex blue" in shown(answer(annex(), annex(owner="bob")))


def test_a_sentence_with_brackets_is_shown_as_it_is() -> None:
    assert "wait [for] it" in shown(answer(annex(status="wait [for] it")))


def test_fleets_and_machines_are_shown_when_asked_for() -> None:
    text = shown(answer(annex()), details=True)

    assert "sfr-1 active, 8 of 10, 2 may still come" in text
    assert "i-0123456789abcdef0  c7i.large      us-east-2a   booting" in text


def test_orders_and_what_is_frozen_are_shown() -> None:
    order = {"id": "o1", "placed": "2026-11-21T08:00:00Z", "by": "root", "instances": 5, "slots": None, "machines": 3}
    some = [order | {"answered": True, "refused": None}, order | {"slots": 8, "instances": None, "refused": "no quota"}]
    text = shown(answer(annex(orders=some, frozen="everything was frozen by root")), details=True)

    assert "ordered by root, 30m ago: 5 machines, 3 asked for or there" in text
    assert "ordered by root, 30m ago: 8 vCPUs, refused: no quota" in text
    assert "frozen: everything was frozen by root; nothing is launched for it" in text


def test_what_aws_took_back_is_shown_with_what_it_cost() -> None:
    machine = {**MACHINE, "state": "running", "joined": "2026-11-21T08:00:00Z", "interrupted": "2026-11-21T08:05:00Z"}
    machines = {"asked": 1, "pending": 0, "booting": 0, "joined": 1, "gone": 0, "list": [machine]}
    lost = {"machines": 2, "jobs": 3, "lost_s": 5400}
    text = shown(answer(annex(instances=machines, interruptions=lost)), details=True)
    assert "AWS took back 2 machines; 3 jobs had to leave, with 1h30m of work lost" in text
    assert "taken back" in text


def test_what_the_last_machines_that_never_joined_printed_is_shown_when_asked_for() -> None:
    deaths = [
        {"id": f"i-{n}", "at": "2026-11-21T08:00:00Z", "reason": "out of luck", "boot_log": log, "console": "kernel"}
        for n, log in enumerate(["zero", "one", "annex: a\nannex: b", ""])
    ]
    text = shown(answer(annex(never_joined=deaths)), details=True)

    assert "i-2 never joined; it ended at 2026-11-21T08:00:00Z: out of luck\n    annex: a\n    annex: b\n" in text
    assert "kernel" in text
    assert "i-0" not in text.replace("i-0123456789abcdef0", "")


def test_an_annex_of_which_only_its_name_is_known_has_no_line_of_facts() -> None:
    unknown = dict.fromkeys(("id", "project", "route", "lease_ends", "ends_at_latest"))
    machines = {"asked": 0, "pending": 0, "booting": 0, "joined": 0, "gone": 0, "list": []}
    text = shown(answer(annex(**unknown, status="No job waits.", fleets=[], instances=machines)), details=True)

    assert "No job waits.\n\nAs of" in text


def test_a_refused_route_and_a_trouble_are_shown() -> None:
    text = shown(answer(refused_routes={"aws": "no image"}, troubles=["a stranger"]))

    assert "Route aws is refused as it stands: no image" in text
    assert "a stranger" in text


def test_a_daemon_that_has_not_looked_yet_is_said_to_have_just_started() -> None:
    assert "only just started" in shown(answer(as_of=None))


def test_json_is_what_the_daemon_said(daemon: Callable[[bytes], Requests], capsys: pytest.CaptureFixture[str]) -> None:
    known = answer(annex())
    daemon(ok(known))

    assert main(["status", "-json"]) == 0
    assert json.loads(capsys.readouterr().out) == known


def test_the_owner_asked_for_is_sent_to_the_daemon(daemon: Callable[[bytes], Requests]) -> None:
    asked = daemon(ok(answer()))

    main(["status", "-owner", "bob"])

    assert asked[0].endswith(b'annex/1 status\n{"owner": "bob"}')


def test_one_annex_is_found_by_its_whole_name(
    daemon: Callable[[bytes], Requests], capsys: pytest.CaptureFixture[str]
) -> None:
    daemon(ok(answer(annex("test"), annex("test2"))))

    assert main(["status", "test", "-json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)["annexes"]] == ["test"]


def test_an_annex_that_is_not_there_is_a_failure(daemon: Callable[[bytes], Requests]) -> None:
    daemon(ok(answer(annex())))

    assert main(["status", "green"]) == 1


def test_what_the_daemon_refuses_is_told_in_its_words(
    daemon: Callable[[bytes], Requests], capsys: pytest.CaptureFixture[str]
) -> None:
    daemon(wire.encode_refused("uid 77 has no user name"))

    assert main(["status"]) == 1
    assert "uid 77 has no user name" in capsys.readouterr().err


def test_a_daemon_that_is_down_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANNEXD_SOCKET", str(tmp_path / "none.sock"))

    assert main(["status"]) == 1
    assert "condor_annexd" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["help", "-help", "--help", "-h"])
def test_help_is_given_in_every_spelling(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word]) == 0
    assert "condor_annex status" in capsys.readouterr().out


def test_an_unknown_verb_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stauts"]) == 2
    assert "stauts" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("no_color", "coloured"), [(None, True), ("1", False)])
def test_trouble_is_red_on_a_terminal_that_wants_colours(
    monkeypatch: pytest.MonkeyPatch, no_color: str | None, coloured: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    screen = Terminal()
    show(answer(troubles=["a stranger"]), Screen(screen, width=80), details=False)
    assert ("\033[31ma stranger\033[0m" in screen.getvalue()) is coloured


def test_a_sentence_is_wrapped_between_words_at_the_width_there_is() -> None:
    text = shown(answer(annex(status="a sentence that is longer than thirty characters")), width=30)
    assert "\na sentence that is longer than\nthirty characters\n" in text
