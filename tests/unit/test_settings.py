"""The daemon's knobs."""

from datetime import timedelta
from pathlib import Path

import pytest

from annex_core.adapters.settings import htcondor_version, settings
from annex_core.errors import Refused

LEAST = {
    "FULL_HOSTNAME": "ap.example",
    "TRUST_DOMAIN": "example",
    "ANNEX_COLLECTOR_HOST": "ap.example:9619",
    "RUN": "/run/condor",
    "SPOOL": "/spool",
    "LOG": "/log",
}


def test_a_pool_that_sets_little_gets_the_defaults() -> None:
    chosen = settings(LEAST)

    assert (chosen.access_point, chosen.pool, chosen.domain) == ("ap.example", "ap.example", "example")
    assert chosen.socket == Path("/run/condor/annexd.sock")
    assert chosen.journal == Path("/spool/annexd/journal.db")
    assert chosen.lock == Path("/spool/annexd/annexd.lock")
    assert chosen.interval == timedelta(minutes=1)
    assert chosen.credentials is None
    assert chosen.log.file == Path("/log/AnnexdLog")


def test_an_empty_knob_is_one_that_is_not_set() -> None:
    assert settings(LEAST | {"ANNEXD_CREDENTIALS": "", "ANNEX_POOL": " "}).pool == "ap.example"


def test_the_knobs_are_read() -> None:
    chosen = settings(LEAST | {"ANNEXD_INTERVAL": "2m", "MAX_ANNEXD_LOG": "3 Mb", "ANNEXD_CREDENTIALS": "/etc/aws"})

    assert chosen.interval == timedelta(minutes=2)
    assert chosen.log.max_bytes == 3 << 20
    assert chosen.credentials == Path("/etc/aws")


def test_root_and_condor_are_administrators_whatever_the_knob_says() -> None:
    assert settings(LEAST | {"ANNEX_ADMINISTRATORS": "carol, dave"}).administrators == {
        "carol",
        "dave",
        "condor",
        "root",
    }


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("ANNEXD_INTERVAL", "soon"),
        ("ANNEXD_INTERVAL", "0"),
        ("MAX_ANNEXD_LOG", "1 week"),
        ("MAX_NUM_ANNEXD_LOG", "-1"),
        ("ANNEXD_SOCKET", "annexd.sock"),
        ("ANNEXD_CREDENTIALS", "credentials"),
        ("ANNEX_KEY_FILES", "~/.condor/publicKeyFile"),
        ("ANNEX_KEY_FILES", "access secret"),
        ("ANNEX_COLLECTOR_HOST", ""),
        ("ANNEXD_LEARN_RUN_TIMES", "sometimes"),
    ],
)
def test_a_knob_that_makes_no_sense_is_named(knob: str, value: str) -> None:
    with pytest.raises(Refused, match=knob):
        settings(LEAST | {knob: value})


def test_the_key_files_are_those_of_htcondor_s_own_tools_unless_the_knob_says_others() -> None:
    assert settings(LEAST).key_files == ("~/.condor/publicKeyFile", "~/.condor/privateKeyFile")
    assert settings(LEAST | {"ANNEX_KEY_FILES": "~/a, /b"}).key_files == ("~/a", "/b")


@pytest.mark.parametrize(("said", "meant"), [({}, True), ({"ANNEXD_LEARN_RUN_TIMES": "false"}, False)])
def test_run_times_are_learned_unless_the_knob_says_no(said: dict[str, str], meant: bool) -> None:
    assert settings(LEAST | said).learn_run_times is meant


def installed(folder: Path, said: str) -> dict[str, str]:
    program = folder / "condor_version"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    return {"BIN": str(folder)}


def test_the_version_is_that_of_the_htcondor_which_is_installed(tmp_path: Path) -> None:
    assert htcondor_version(installed(tmp_path, "$CondorVersion: 23.9.6 2025-02-10 PackageID: 23.9.6 $")) == "23.9.6"


def test_a_version_that_can_not_be_told_is_unknown(tmp_path: Path) -> None:
    assert htcondor_version({"BIN": str(tmp_path / "none")}) is None
    assert htcondor_version(installed(tmp_path, "no idea")) is None
