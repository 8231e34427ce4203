"""Lines of progress: what is worked on, how long it has taken, and what became of it."""

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from annex_core.errors import AnnexError, Unavailable

_PATIENCE_S = 900.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 3.0


class Line(AbstractContextManager["Line"]):
    """One line. An AnnexError inside ends it as FAILED, with its sentence, and goes no further."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._began = time.monotonic()
        self.says = ""
        self.failed = False

    def __enter__(self) -> Self:
        self.tick()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.failed = error is not None
        if isinstance(error, AnnexError):
            self.says = f"FAILED: {error}"
        if error is None or isinstance(error, AnnexError):
            self._print("\n")
        return isinstance(error, AnnexError)

    def tick(self) -> None:
        """Show how long it has taken by now, where somebody watches."""
        if sys.stdout.isatty():
            self._print("\r")

    def _print(self, end: str) -> None:
        elapsed = time.monotonic() - self._began
        print(f"  {self._subject:<30}{elapsed:>7.1f} s  {self.says}", end=end, flush=True)


def pausing(tick: Callable[[], None], *, patience_s: float = _PATIENCE_S) -> Callable[[], None]:
    """
    What waits a moment between two looks at AWS, each time a little longer.

    Returns:
        It raises Unavailable after *patience_s*, a quarter of an hour.
    """
    began = time.monotonic()
    pause_s = _FIRST_PAUSE_S

    def pause() -> None:
        nonlocal pause_s
        if time.monotonic() - began > patience_s:
            raise Unavailable(
                f"CloudFormation is still at it after {patience_s / 60:.0f} minutes; the same command looks again"
            )
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
        tick()

    return pause
