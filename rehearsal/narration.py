"""How a rehearsal tells what it does: a line a thing, each with the seconds since it was called."""

import os
import sys
import textwrap
import time
from typing import TextIO

_BEGAN = "REHEARSAL_BEGAN"
"""By the monotonic clock, which all processes of a machine share: a rehearsal is several of them."""


def begin() -> None:
    """Count from now on, here and in every process started from here, unless whoever started this one counts."""
    os.environ.setdefault(_BEGAN, str(time.monotonic()))


def elapsed() -> float:
    """Seconds since begin()."""
    return time.monotonic() - float(os.environ[_BEGAN])


def line(what: str, width: int = 0) -> str:
    """
    Args:
        width: Columns to wrap at; 0 is never.
    """
    stamped = f"{elapsed():6.1f} s  {what}"
    return textwrap.fill(stamped, width, subsequent_indent=" " * 10, break_on_hyphens=False) if width else stamped


def say(what: str, *, to: TextIO = sys.stdout) -> None:
    width = os.get_terminal_size(to.fileno()).columns if to.isatty() else 0
    print(line(what, width), file=to, flush=True)
