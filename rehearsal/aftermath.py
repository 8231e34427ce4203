"""
Whether a rehearsal has left anything behind, looked at from outside when it is over.

Seen from the process that started it, which is in none of its namespaces: processes, mounts, network interfaces. A
namespace lives as long as a process in it, or a mount of its own kind; its number says nothing, for the kernel gives
it to the next one.
"""

import contextlib
import ctypes
import os
import re
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from rehearsal import sandbox
from rehearsal.cache import Cache

_PR_SET_CHILD_SUBREAPER = 36
_SETTLED_S = 5.0
"""The kernel takes down the processes of a namespace after its first one is gone."""
_NAMESPACES = ("mnt", "pid", "net", "ipc", "uts")

Process = tuple[int, int]
"""Process id, and when it started, in the kernel's ticks: together never given twice."""


class Aftermath:
    """Runs a command and says what is left of it."""

    def __init__(self) -> None:
        self._mounts = _mounts()
        self._links = _links()
        self._processes: set[Process] = set()
        self._namespaces: set[str] = set()

    @property
    def seen(self) -> str:
        """How much there was to be taken down, as far as seen."""
        return f"{len(self._processes)} processes, {len(self._namespaces)} namespaces"

    def run(self, argv: Sequence[str]) -> int:
        """
        The exit status of the command, which gets the signals that this process gets, and is killed if it dies.

        What outlives the command becomes this process's child: nothing gets out of sight.
        """
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        return sandbox.supervise(["setpriv", "--pdeathsig", "KILL", *sandbox.deferring(argv)], look=self._look)

    def left(self) -> list[str]:
        """Everything that is still there, in words, after a moment for the kernel; processes among it are killed."""
        ends = time.monotonic() + _SETTLED_S
        while (running := self._running()) and time.monotonic() < ends:
            time.sleep(0.05)
        found = [f"process {pid}: {_command(pid)}" for pid, _ in sorted(running)]
        for pid, _ in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        found += [f"mount {each}" for each in sorted(_mounts() - self._mounts)]
        found += [f"network interface {each}" for each in sorted(_links() - self._links)]
        return found

    def _running(self) -> set[Process]:
        there = _processes()
        return _descendants(there) | (self._processes & there.keys())

    def _look(self) -> None:
        mine = _descendants(_processes())
        self._processes |= mine
        for pid, _ in mine:
            self._namespaces |= _namespaces(pid) - _namespaces(os.getpid())


def _processes() -> dict[Process, int]:
    """The parent of every process that there is and that has not ended."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                state, parent, *fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            if state not in "ZX":
                found[int(entry.name), int(fields[17])] = int(parent)
    return found


def _descendants(running: dict[Process, int]) -> set[Process]:
    children: dict[int, list[Process]] = {}
    for process, parent in running.items():
        children.setdefault(parent, []).append(process)
    found = list(children.get(os.getpid(), ()))
    for pid, _ in found:  # which grows meanwhile
        found += children.get(pid, ())
    return set(found)


def _namespaces(pid: int) -> set[str]:
    try:
        return {str(Path(f"/proc/{pid}/ns/{kind}").readlink()) for kind in _NAMESPACES}
    except OSError:  # it has just ended
        return set()


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return "ended just now"


def _mounts() -> set[str]:
    """What is mounted where a rehearsal mounts, and every namespace that is kept by a mount."""
    places = ("/proc", "/sys", "/dev/shm", "/etc", str(Cache.of_user().mount_point.parent))
    found = set()
    for entry in Path("/proc/self/mountinfo").read_text().splitlines():
        number, _, _, _, point, *more = entry.split()
        if "nsfs" in more or any(point == place or point.startswith(f"{place}/") for place in places):
            found.add(f"{point} (id {number})")
    return found


def _links() -> set[str]:
    """Interfaces named as the sandbox names its own."""
    ours = re.compile(r"annex0|v172\.31\.[0-9.]+")
    return {name for _, name in socket.if_nameindex() if ours.fullmatch(name)}
