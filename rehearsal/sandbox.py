"""
Namespaces that take with them whatever was made inside.

Who enters leaves the machine as it was, however it ends: processes, mounts and network interfaces belong to
namespaces that the kernel removes with their last process, and the first process dies with whoever started it, by
SIGKILL too.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

CLOUD = "172.31.240.1"
"""The bridge's own address: the local cloud, and everybody's default route."""
METADATA = "169.254.169.254"
BRIDGE = "annex0"
_BRIDGE_MAC = "02:00:00:00:00:01"
"""Else it would be the lowest of its ports', and a host that comes or goes would outdate everybody's ARP table."""

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUTS = 0x04000000
_CLONE_NEWIPC = 0x08000000
_CLONE_NEWPID = 0x20000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_SI_KERNEL = 0x80
"""si_code of a signal that the terminal sent, to the whole foreground process group."""

_FORWARDED = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM})
_WATCHED = _FORWARDED | {signal.SIGCHLD}

_libc = ctypes.CDLL(None, use_errno=True)


def run(argv: Sequence[str], *, network: bool) -> int:
    """
    Run a command in new mount, pid, ipc and uts namespaces, and wait for it.

    The calling process moves into all of them but the pid namespace, and keeps its signals blocked: it can only exit
    afterwards.

    Args:
        argv: Looked up on PATH.
        network: In a network of its own too, with the bridge that hosts are plugged into; else in the caller's.

    Returns:
        The command's exit status, or 128 and the number of the signal that ended it.

    Raises:
        OSError: The kernel refuses; EPERM without root.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    _unshare(_CLONE_NEWNS | _CLONE_NEWIPC | _CLONE_NEWUTS | (_CLONE_NEWNET if network else 0))
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    socket.sethostname("rehearsal")
    if network:
        _build_bridge()
    _unshare(_CLONE_NEWPID)
    init = os.fork()
    if init:
        return _attend(init)
    try:
        status = _init(argv, isolated=network)
    except BaseException as error:  # noqa: BLE001 - pid 1 must not return into its parent's code
        print(f"rehearsal: {error}", file=sys.stderr, flush=True)
        status = 125
    os._exit(status)


def deferring(argv: Sequence[str]) -> list[str]:
    """The command with Ctrl-C held back until it calls admit(): Python, still importing, would print a traceback."""
    return ["env", "--block-signal=INT", *argv]


def admit() -> None:
    """
    Let Ctrl-C interrupt from now on, and only once: each process that it goes through passes it on, so that it comes
    several times, and a second one would cut off the tidying up that the first one began.

    Raises:
        KeyboardInterrupt: There was a Ctrl-C meanwhile.
    """
    signal.signal(signal.SIGINT, _interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def supervise(argv: Sequence[str], *, look: Callable[[], None]) -> int:
    """
    Run a command where this process is, and wait for it; it gets the signals that this process gets.

    Args:
        look: Called about once a second meanwhile.

    Returns:
        As run() does.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    return _attend(os.posix_spawnp(argv[0], list(argv), os.environ, setsigmask=[]), look)


def _init(argv: Sequence[str], *, isolated: bool) -> int:
    """Be pid 1: /proc as this namespace sees it, temporary files that go with it, then the command."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    subprocess.run(["mount", "-t", "proc", "proc", "/proc"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/dev/shm"], check=True)
    os.environ["TMPDIR"] = "/dev/shm"
    if isolated:
        _answer_names()
    python_ignores = [signal.SIGPIPE, signal.SIGXFSZ]
    try:
        child = os.posix_spawnp(argv[0], list(argv), os.environ, setsigmask=[], setsigdef=python_ignores)
    except FileNotFoundError:
        print(f"rehearsal: {argv[0]}: no such command", file=sys.stderr)
        return 127
    return _attend(child)


def _answer_names() -> None:
    """Names end here: a nameserver that can't be reached would cost HTCondor's library minutes."""
    hosts = Path("/dev/shm/hosts")
    hosts.write_text(f"127.0.0.1 localhost {socket.gethostname()}\n")
    for covered, cover in (("/etc/hosts", str(hosts)), ("/etc/resolv.conf", "/dev/null")):
        if Path(covered).exists():
            subprocess.run(["mount", "--bind", cover, covered], check=True)


def _attend(child: int, look: Callable[[], None] = lambda: None) -> int:
    """Reap whoever ends and pass signals on, until *child* has ended."""
    while True:
        received = signal.sigtimedwait(_WATCHED, 1)
        if received is None:
            look()
        elif received.si_signo == signal.SIGCHLD:
            status = _reap(child)
            if status is not None:
                return status
        elif received.si_code != _SI_KERNEL:  # what a terminal sends, the child got too
            os.kill(child, received.si_signo)


def _reap(child: int) -> int | None:
    """Collect everyone who has ended; the exit status of *child* if it is among them."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if pid == 0:
            return None
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _unshare(flags: int) -> None:
    # os.unshare is new in Python 3.12.
    if _libc.unshare(flags):
        number = ctypes.get_errno()
        raise OSError(number, f"unshare: {os.strerror(number)}")


def _build_bridge() -> None:
    commands = f"""\
        link set lo up
        link add {BRIDGE} address {_BRIDGE_MAC} type bridge
        address add {CLOUD}/16 dev {BRIDGE}
        address add {METADATA}/32 dev {BRIDGE}
        link set {BRIDGE} up
    """
    subprocess.run(["ip", "-batch", "-"], input=commands, text=True, check=True)
