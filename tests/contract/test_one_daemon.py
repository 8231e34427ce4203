"""condor_annexd as a process: one for an access point, whoever starts a second one."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def knobs(tmp_path: Path) -> dict[str, str]:
    """An environment in which HTCondor's configuration is these knobs."""
    set_to = {
        "TRUST_DOMAIN": "pool.example",
        "ANNEX_COLLECTOR_HOST": "127.0.0.1:1",
        "ANNEXD_SOCKET": str(tmp_path / "annexd.sock"),
        "ANNEXD_JOURNAL": str(tmp_path / "journal.db"),
        "ANNEXD_LOG": str(tmp_path / "AnnexdLog"),
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
