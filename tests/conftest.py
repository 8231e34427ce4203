"""
For all tests: every call to AWS that our code makes stands in the table that its IAM policies are made of, and every
call in the table is made while the tests without a pool run; and a Ctrl-C ends them as it ends any program.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import botocore.handlers
import pytest
from botocore.model import OperationModel

import annex_core
from annex_core.account.rights import CALLS
from rehearsal import sandbox

_OURS = str(Path(annex_core.__file__).parent)
_TESTS = str(Path(__file__).parent)
_WITHOUT_A_POOL = {"unit", "contract", "aws"}
_unknown: set[str] = set()
_made: set[str] = set()
"""By our code, in this process."""
_interrupts: list[BaseException] = []


def _by_our_code() -> bool:
    """Whoever stands nearest to the call; tests make calls of their own, also while ours are under way."""
    frame: FrameType | None = sys._getframe(2)
    while frame:
        if frame.f_code.co_filename.startswith((_OURS, _TESTS)):
            return frame.f_code.co_filename.startswith(_OURS)
        frame = frame.f_back
    return False


def _look_up(model: OperationModel, **_: Any) -> None:
    call = f"{model.service_model.service_name}:{model.name}"
    if call not in _made and _by_our_code():
        (_made if call in CALLS else _unknown).add(call)


# Sessions register these when they are made; the event comes with a presigned URL, too.
botocore.handlers.BUILTIN_HANDLERS.append(("provide-client-params", _look_up))


@pytest.fixture(autouse=True)
def calls_in_the_table() -> Iterator[None]:
    _unknown.clear()
    yield
    assert not _unknown, "annex_core/account/rights.py lacks these calls of ours"


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    sandbox.admit()  # the first place from where pytest_sessionfinish is sure to be called


def pytest_keyboard_interrupt(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    if excinfo.type is KeyboardInterrupt:  # pytest makes one of its own of errors while it collects
        _interrupts.append(excinfo.value)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _interrupts:
        session.exitstatus = 130
    elif session.exitstatus == pytest.ExitCode.OK and _all_without_a_pool(session.config) and (unused := CALLS - _made):
        sys.stderr.write(f"\nannex_core/account/rights.py has calls that no test makes: {sorted(unused)}\n")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _all_without_a_pool(config: pytest.Config) -> bool:
    """Whether this run has every test by which a call of ours is made."""
    parts = ("keyword", "markexpr", "lf", "deselect", "ignore", "ignore_glob", "collectonly")
    if any(getattr(config.option, name, None) for name in parts):
        return False
    asked = {Path(config.invocation_params.dir, argument).resolve() for argument in config.args}
    return {Path(_TESTS, folder) for folder in _WITHOUT_A_POOL} <= asked or Path(_TESTS) in asked
