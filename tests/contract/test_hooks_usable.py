"""A hook that the job router would leave out is named, with the reason."""

from collections.abc import Callable
from pathlib import Path

import pytest

from annex_core.adapters.hooks import unusable_hooks

KNOBS = (
    "ANNEX_HOOK_TRANSLATE_JOB",
    "ANNEX_HOOK_UPDATE_JOB_INFO",
    "ANNEX_HOOK_JOB_FINALIZE",
    "ANNEX_HOOK_JOB_CLEANUP",
)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    made = tmp_path / "libexec" / "annex_translate"
    made.parent.mkdir()
    made.write_text("#!/bin/sh\n")
    made.chmod(0o755)
    return made


def faults(path: Path) -> list[str]:
    return list(unusable_hooks(dict.fromkeys(KNOBS, str(path))))


def open_to_all(path: Path) -> None:
    """pytest's own folders are closed to others."""
    for folder in path.parents:
        if folder.stat().st_mode & 0o077 == 0:
            folder.chmod(0o755)


def test_the_hooks_of_a_good_installation_are_usable(installed: Path) -> None:
    open_to_all(installed)
    assert faults(installed) == []


def test_every_hook_that_is_missing_is_named(installed: Path) -> None:
    installed.unlink()
    assert [fault.partition(":")[0] for fault in faults(installed)] == list(KNOBS)
    assert "No such file" in faults(installed)[0]


def test_a_hook_that_is_not_set_is_named() -> None:
    assert len([fault for fault in unusable_hooks({}) if "it is not set" in fault]) == len(KNOBS)


def test_the_job_routers_own_value_counts(installed: Path) -> None:
    open_to_all(installed)
    values = dict.fromkeys(KNOBS, str(installed)) | {"JOB_ROUTER.ANNEX_HOOK_JOB_CLEANUP": "/nowhere"}
    (fault,) = unusable_hooks(values)
    assert fault.startswith("ANNEX_HOOK_JOB_CLEANUP: error: /nowhere: ")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda hook: hook.chmod(0o644), "annex_translate is not executable"),
        (lambda hook: hook.chmod(0o757), "everybody may write to "),
        (lambda hook: hook.parent.chmod(0o777), "everybody may write to "),
        (lambda hook: hook.write_text("#!/no/python3 -IS\n"), "/no/python3, which is to run "),
        (lambda hook: (hook.unlink(), hook.mkdir()), "annex_translate is no file"),
    ],
)
def test_a_hook_that_the_router_would_leave_out_is_named(
    installed: Path, spoil: Callable[[Path], object], reason: str
) -> None:
    open_to_all(installed)
    spoil(installed)
    assert reason in faults(installed)[0]


@pytest.mark.skipif("os.geteuid() != 0", reason="a hook of one's own is for jobs of one's own")
def test_a_hook_that_not_every_user_can_reach_is_named(installed: Path) -> None:
    open_to_all(installed)
    installed.parent.chmod(0o700)
    assert f"not everybody may enter {installed.parent}" in faults(installed)[0]
