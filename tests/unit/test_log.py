"""The daemon's log."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from annex_core.adapters import log
from annex_core.adapters.settings import LogSettings

OURS = logging.getLogger("annex_core.daemon")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Logging is one for the process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    logging.getLogger("annex_core").setLevel(logging.NOTSET)


def chosen(file: Path, *, max_bytes: int = 0, keep: int = 1, full: bool = False) -> LogSettings:
    return LogSettings(file, max_bytes, keep, full)


def test_a_line_begins_as_in_every_condor_log(tmp_path: Path) -> None:
    log.start(chosen(tmp_path / "AnnexdLog"))

    OURS.info("hello")

    assert re.fullmatch(r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d hello\n", (tmp_path / "AnnexdLog").read_text())


def test_a_message_of_several_lines_begins_one_line_alone(tmp_path: Path) -> None:
    log.start(chosen(tmp_path / "AnnexdLog"))

    OURS.error("one\ntwo")

    assert (tmp_path / "AnnexdLog").read_text()[18:] == "ERROR: one\n    two\n"


def test_details_are_logged_when_asked_for_alone(tmp_path: Path) -> None:
    log.start(chosen(tmp_path / "A"))
    OURS.debug("detail")
    log.start(chosen(tmp_path / "B", full=True))
    OURS.debug("detail")

    assert (tmp_path / "A").read_text() == ""
    assert "detail" in (tmp_path / "B").read_text()


def test_what_libraries_chat_about_is_never_logged(tmp_path: Path) -> None:
    log.start(chosen(tmp_path / "AnnexdLog", full=True))

    logging.getLogger("botocore").debug("signature")
    logging.getLogger("botocore").info("signature")

    assert (tmp_path / "AnnexdLog").read_text() == ""


def test_a_full_log_is_put_aside_as_old(tmp_path: Path) -> None:
    log.start(chosen(tmp_path / "AnnexdLog", max_bytes=200))

    for number in range(12):
        OURS.info("message %d", number)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["AnnexdLog", "AnnexdLog.old"]
    assert "message 11" in (tmp_path / "AnnexdLog").read_text()


def test_no_more_logs_are_kept_than_asked_for(tmp_path: Path) -> None:
    for stamp in ("20260101T000000", "20260102T000000"):
        (tmp_path / f"AnnexdLog.{stamp}").touch()
    log.start(chosen(tmp_path / "AnnexdLog", max_bytes=50, keep=2))

    OURS.info("a message of some length")
    OURS.info("a message of some length")

    kept = sorted(path.suffix for path in tmp_path.iterdir())
    assert len(kept) == 3
    assert ".20260101T000000" not in kept


def test_starting_again_reopens_a_log_that_was_moved_away(tmp_path: Path) -> None:
    file = tmp_path / "AnnexdLog"
    log.start(chosen(file))
    file.rename(tmp_path / "moved")

    log.start(chosen(file))
    OURS.info("here")

    assert "here" in file.read_text()
