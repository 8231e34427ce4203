"""condor_annexd as a process: one for an access point, whoever starts a second one; and knobs that it obeys."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from annex_core.adapters import wire
from annex_core.errors import AnnexError

PATIENCE_S = 60


@pytest.fixture
def knobs(tmp_path: Path) -> dict[str, str]:
    """An environment in which HTCondor's configuration is these knobs."""
    set_to = {
        "TRUST_DOMAIN": "pool.example",
        "ANNEX_COLLECTOR_HOST": "127.0.0.1:1",
        "ANNEXD_SOCKET": str(tmp_path / "annexd.sock"),
        "ANNEXD_JOURNAL": str(tmp_path / "journal.db"),
        "ANNEXD_LOG": str(tmp_path / "AnnexdLog"),
        "ANNEX_AUDIT_LOG": str(tmp_path / "AnnexAuditLog"),
    }
    return {**os.environ, "CONDOR_CONFIG": "ONLY_ENV", **{f"_CONDOR_{knob}": value for knob, value in set_to.items()}}


def test_a_second_daemon_leaves_with_a_line_in_the_log_and_touches_nothing(
    tmp_path: Path, knobs: dict[str, str]
) -> None:
    lock = tmp_path / "annexd.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = [sys.executable, "-m", "annex_core.daemon.main"]
        assert subprocess.run(second, env=knobs, timeout=60, check=False).returncode == 1
    assert f"another condor_annexd holds {lock}" in (tmp_path / "AnnexdLog").read_text()
    assert not (tmp_path / "journal.db").exists()


@contextmanager
def running(knobs: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A daemon, until the end of the block."""
    with subprocess.Popen([sys.executable, "-m", "annex_core.daemon.main"], env=knobs) as daemon:
        try:
            yield daemon
        finally:
            daemon.terminate()


def wait_for(there: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while not there():
        assert time.monotonic() < until, f"no {what} after {PATIENCE_S} s"
        time.sleep(0.1)


@pytest.mark.parametrize("learn", [True, False])
def test_it_reads_the_history_of_jobs_only_where_it_is_to_learn_run_times(
    tmp_path: Path, knobs: dict[str, str], learn: bool
) -> None:
    history, asked = tmp_path / "bin" / "condor_history", tmp_path / "asked"
    history.parent.mkdir()
    history.write_text(f"#!/bin/sh\ntouch {asked}\n")
    history.chmod(0o755)

    def has_looked_around() -> bool:
        try:
            answer = wire.ask(Path(knobs["_CONDOR_ANNEXD_SOCKET"]), "status", b"{}", deadline_s=10)
        except AnnexError:
            return False
        return json.loads(answer)["as_of"] is not None

    environment = {
        **knobs,
        "PATH": f"{history.parent}:{knobs['PATH']}",
        "_CONDOR_ANNEXD_LEARN_RUN_TIMES": str(learn),
    }
    with running(environment):
        wait_for(has_looked_around, "look around")  # which comes later than the history's reader
        if learn:
            wait_for(asked.exists, "question for the history")
        assert asked.exists() is learn


def test_it_heeds_signals_that_the_kernel_gives_to_another_of_its_threads(
    tmp_path: Path, knobs: dict[str, str]
) -> None:
    log = tmp_path / "AnnexdLog"
    with running(knobs) as daemon:
        wait_for((tmp_path / "annexd.sock").exists, "socket")
        other = max(int(thread.name) for thread in Path(f"/proc/{daemon.pid}/task").iterdir())
        assert other != daemon.pid
        os.kill(other, signal.SIGHUP)
        wait_for(lambda: "reading the configuration again" in log.read_text(), "new reading")
        os.kill(other, signal.SIGTERM)
        assert daemon.wait(10) == 0
    assert "condor_annexd leaves" in log.read_text()
