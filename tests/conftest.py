"""
For all tests: every call to AWS that our code makes stands in the table that its IAM policies are made of, and a Ctrl-C
ends them as it ends any program.
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
_unknown: set[str] = set()
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
    if call not in CALLS and _by_our_code():
        _unknown.add(call)


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
