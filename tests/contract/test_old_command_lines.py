"""condor_annex with the command lines of the tools before it, as a person types them, against a daemon's socket."""

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from annex_core.adapters.schemas import schema
from annex_core.adapters.server import Call, Server
from annex_core.cli import status
from annex_core.cli.main import main
from annex_core.errors import Refused
from tests.contract.test_status_command import annex, answer

OFFER = {
    "id": "blue-0123456789", "owner": "alice", "name": "blue", "order": "1", "route": "aws", "region": "us-east-2",
    "market": "on-demand", "what": ["c5.large"], "how_many": 2, "lease_ends": "2026-11-21T20:30:00Z", "lives": False,
    "usd_per_hour_at_most": "0.17", "usd_at_most": "1.36", "warnings": [], "refused": None,
}  # fmt: skip
CREATE = ("-annex-name", "blue", "-count", "2")
Asked = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """What a daemon was asked, which takes every request that is valid by the schema."""
    path = tmp_path / "annexd.sock"
    monkeypatch.setenv("ANNEXD_SOCKET", str(path))
    heard: Asked = []
    order = {"id": "1", "placed": "2026-11-21T08:30:00Z", "by": "alice", "instances": 2, "slots": None, "machines": 2,
             "answered": True, "refused": None}  # fmt: skip

    def reply(call: Call) -> bytes:
        body = json.loads(call.body)
        heard.append((call.verb, body))
        if call.verb == "status":
            return json.dumps(answer(annex(orders=[order]), annex("green"))).encode()
        shapes = schema("request")["$defs"]
        if wrong := next(
            Draft202012Validator({"$ref": f"#/$defs/{call.verb}", "$defs": shapes}).iter_errors(body), None
        ):
            raise Refused(wrong.message)
        return json.dumps(OFFER if call.verb == "create" else {"done": [f"{call.verb}: so be it"]}).encode()

    with Server(path, reply):
        yield heard


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts scripts in front of HTCondor's own programs."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def put(name: str, script: str) -> Path:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
        return folder

    put("condor_config_val", "exit 0")
    return put


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


@pytest.mark.usefixtures("programs")
def test_a_create_shows_what_it_rents_and_asks_before_it_orders(
    asked: Asked, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, "yes\n")

    assert main(CREATE) == 0

    said = capsys.readouterr().out
    assert "2 machines (on-demand): c5.large" in said
    assert "at most $0.17 an hour, $1.36 in all" in said
    assert [(verb, body.get("dry_run")) for verb, body in asked[:2]] == [("create", True), ("create", None)]


@pytest.mark.usefixtures("programs")
def test_no_is_no_and_the_exit_status_says_so(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "no\n")

    assert main(CREATE) == 1

    assert [body.get("dry_run") for verb, body in asked if verb == "create"] == [True]


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("value", ["12, 13", "a=b", 'say "hi"', "-yes"])
def test_a_tag_reaches_the_daemon_whatever_its_value_holds(asked: Asked, value: str) -> None:
    assert main([*CREATE, "-tag", "CostCenter", value, "-yes"]) == 0

    assert asked[1][1]["tags"] == {"CostCenter": value}


@pytest.mark.usefixtures("programs")
def test_the_files_of_config_dir_are_read_by_whoever_asks(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "10-mine.conf").write_text("A = 1\n")

    assert main([*CREATE, "-config-dir", str(tmp_path / "conf"), "-yes"]) == 0

    assert asked[1][1]["config_files"] == {"10-mine.conf": "QSA9IDEK"}


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b" " * (10 << 20), None],
    ids=["empty", "a list", "no JSON", "10 MB", "a directory"],
)
def test_a_fleet_file_that_is_none_is_refused_by_name(
    asked: Asked, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    file = tmp_path / "fleet.json"
    file.mkdir() if content is None else file.write_bytes(content)

    assert main(["-annex-name", "blue", "-slots", "5", "-aws-spot-fleet-config-file", str(file), "-yes"]) == 2

    assert str(file) in capsys.readouterr().err
    assert not asked


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("-annex-name",), "-annex-name takes NAME"),
        ((*CREATE, "-count", "3"), "-count is given twice"),
        ((*CREATE, "-owner", "bob", "-no-owner"), "say one of them"),
        ((*CREATE, "-duration", "100000"), "-duration"),
        ((*CREATE, "-aws-secret-key-file", "/x"), "say both"),
        (("-annex-name", "a_b", "-count", "1"), "letters, digits and dashes"),
        (("-annex-name", "x" * 65, "-count", "1"), "1 to 37"),
        (("--project-id=blue", "--instances"), "--instances takes NUMBER"),
        (("-whatever",), "there is no option -whatever"),
    ],
)
def test_a_senseless_command_line_ends_with_2_and_a_sentence(
    asked: Asked, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], named: str
) -> None:
    assert main(words) == 2

    assert named in capsys.readouterr().err
    assert not asked


@pytest.mark.usefixtures("programs")
def test_a_name_that_the_withdrawn_tool_cut_arrives_whole(asked: Asked) -> None:
    main(["-annex-name", "a" * 37, "-count", "1", "-yes"])

    assert asked[1][1]["name"] == "a" * 37


def test_a_knob_of_the_users_configuration_counts(asked: Asked, programs: Callable[..., Path]) -> None:
    programs(
        "condor_config_val",
        "printf 'ANNEX_DEFAULT_LEASE_DURATION = 7200\\n # at: /home/a/.condor/user_config, line 1\\n'",
    )

    assert main([*CREATE, "-yes"]) == 0

    assert asked[1][1]["lifetime_s"] == 7200


def test_a_knobs_fleet_file_that_is_not_there_is_told_by_the_knob(
    asked: Asked, programs: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    programs(
        "condor_config_val", "printf 'ANNEX_DEFAULT_SFR_CONFIG_FILE = /nowhere.json\\n # at: /etc/condor/c, line 3\\n'"
    )

    assert main(["-annex-name", "blue", "-slots", "2", "-yes"]) == 2

    assert "ANNEX_DEFAULT_SFR_CONFIG_FILE (/etc/condor/c:3): " in (said := capsys.readouterr().err)
    assert "/nowhere.json" in said
    assert not asked


def test_what_only_knobs_say_is_said_and_marked_in_the_request(
    asked: Asked, programs: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """As the withdrawn tool's set-up left them in a user's configuration."""
    programs(
        "condor_config_val",
        "printf 'us_east_2.ANNEX_DEFAULT_ODI_KEY_NAME = k\\n # at: /home/a/user_config, line 1\\n'\n"
        "printf 'us_east_2.ANNEX_DEFAULT_ODI_SECURITY_GROUP_IDS = sg-1\\n # at: /home/a/user_config, line 2\\n'",
    )

    assert main([*CREATE, "-aws-region", "us-east-2", "-yes"]) == 0

    assert asked[1][1] == {
        "name": "blue", "market": "on-demand", "region": "us-east-2", "instances": 2, "lifetime_s": 3000, "idle_s": 900,
        "key_name": "k", "security_groups": ["sg-1"], "by_default": ["key_name", "security_groups"],
    }  # fmt: skip
    assert "note: key name k, as us_east_2.ANNEX_DEFAULT_ODI_KEY_NAME" in capsys.readouterr().err


def test_a_duration_alone_is_another_lease_for_a_living_annex(asked: Asked, programs: Callable[..., Path]) -> None:
    assert main(["-annex-name", "blue", "-duration", "1.5"]) == 0

    assert asked == [("extend", {"name": "blue", "lifetime_s": 5400})]


def test_the_script_ends_and_extends_too(asked: Asked) -> None:
    assert main(["--project-id=blue", "--delete"]) == 0
    assert main(["--project-id=blue", "--expiry=2026-11-22 17:00Z"]) == 0

    assert asked == [
        ("end", {"name": "blue", "now": True}),
        ("extend", {"name": "blue", "lease_ends": "2026-11-22T17:00:00Z"}),
    ]


@pytest.mark.parametrize(("words", "body"), [((), {}), (("-fast",), {"now": True}), (("-peaceful",), {})])
def test_off_ends_the_annex(asked: Asked, words: tuple[str, ...], body: dict[str, Any]) -> None:
    assert main(["-annex-name", "blue", "off", *words]) == 0

    assert asked == [("end", {"name": "blue"} | body)]


def test_off_takes_no_other_option_of_condor_off(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-annex-name", "blue", "off", "-daemon", "startd"]) == 2

    assert "off -daemon" in capsys.readouterr().err
    assert not asked


def test_what_the_daemon_refuses_ends_with_1(
    asked: Asked, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ANNEXD_SOCKET", str(tmp_path / "nobody"))

    assert main(["-annex-name", "blue", "off"]) == 1

    assert "condor_annexd" in capsys.readouterr().err
    assert not asked


def test_status_shows_one_annex_or_all(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-status"]) == 0
    assert "green" in capsys.readouterr().out

    assert main(["-annex", "blue", "-status"]) == 0
    assert "green" not in capsys.readouterr().out
    assert len(asked) == 2


def test_classads_are_an_ad_for_each_annex(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-status", "-classads"]) == 0

    first, second = capsys.readouterr().out.strip().split("\n\n")
    assert 'AnnexName = "blue"' in first.splitlines()
    assert 'AnnexName = "green"' in second.splitlines()
    assert "TotalInstances = 10" in first.splitlines()
    assert "SpentEstimate" not in first
    assert main(["-annex-name", "red", "-status", "-classads"]) == 1
    assert asked


def test_behind_status_stands_condor_status(programs: Callable[..., Path], capfd: pytest.CaptureFixture[str]) -> None:
    programs("condor_status", 'for each in "$@"; do echo "<$each>"; done; exit 3')

    assert main(["-annex-name", "blue", "status", "-long", "-af", "Name"]) == 3
    assert '<-constraint>\n<AnnexName =?= "blue">\n<-long>\n<-af>\n<Name>' in capfd.readouterr().out

    assert main(["status", "-totals"]) == 3
    assert "<IsAnnex =?= true>\n<-totals>" in capfd.readouterr().out


def test_our_own_status_keeps_its_options() -> None:
    assert not status.is_condor_status(["blue", "-json", "-owner", "bob"])


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("words", [("-help",), ("-h",), ("--help",)])
def test_help_is_help(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0

    assert "docs/old-options.md" in capsys.readouterr().out


@pytest.mark.usefixtures("programs")
def test_debug_shows_the_request(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    main([*CREATE, "-debug", "-yes"])

    assert '"instances": 2' in capsys.readouterr().err
    assert asked
