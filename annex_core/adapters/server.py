"""
The daemon's Unix socket: one request and one answer a connection, from any user of this machine.

Whoever can open the socket may speak; who it is, the kernel says (SO_PEERCRED). One thread reads and writes for all
connections, so that a client who dawdles holds nobody else up; a few others work the answers out. A user gets few
turns at a time and their further connections wait for one; what they can hold of the daemon, whatever they send or
don't, is TURNS_EACH frames and CONNECTIONS_EACH descriptors, for as long as the deadline.
"""

import asyncio
import contextlib
import logging
import os
import pwd
import socket
import stat
import struct
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Self

from annex_core.adapters import wire
from annex_core.errors import AnnexError, BadRequest, Unavailable

TURNS_EACH = 4
"""Requests of one user that are read and answered at a time."""
CONNECTIONS_EACH = 128
CONNECTIONS = 512
BACKLOG = 4096
"""Where it is full, connect() fails at once instead of waiting for its time-out; the kernel's somaxconn caps it."""
ANSWERING_THREADS = 8
"""More than TURNS_EACH, so that no user alone can keep them all busy."""

_PEER = struct.Struct("iII")  # struct ucred: pid, uid, gid
_PIECE = 1 << 16

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Peer:
    """Whoever opened the connection, by the kernel's word."""

    uid: int
    gid: int
    pid: int

    @cached_property
    def name(self) -> str | None:
        """The uid's user name, or None where it has none; a name service may take its time."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return None


@dataclass(frozen=True)
class Call:
    verb: str
    body: bytes = field(repr=False)
    peer: Peer


class Server:
    """
    A context manager: inside it, clients are answered; leaving it takes the socket away and drops who is left.

    Args:
        path: Where the socket is to be; its directory has to exist. One that a dead daemon left is replaced.
        answer: Called in one of several threads, with what was asked; returns the answer's body. An AnnexError it
            raises is told to whoever asked, anything else is logged as a fault of ours. It should take milliseconds:
            the asker has seconds, and nobody waits for it at the end.
        deadline_s: For a request to arrive, be answered and be taken away, from its turn on.

    Raises:
        Unavailable: On entering: a living daemon answers at *path*, or the socket can't be made.
    """

    def __init__(self, path: Path, answer: Callable[[Call], bytes], *, deadline_s: float = 5.0) -> None:
        self._path = path
        self._answer = answer
        self._deadline_s = deadline_s
        self._open: Counter[int] = Counter()
        self._turns: dict[int, asyncio.Semaphore] = {}

    def __enter__(self) -> Self:
        self._listener = listen(self._path)
        self._inode = self._path.stat().st_ino
        self._threads = ThreadPoolExecutor(ANSWERING_THREADS, thread_name_prefix="answer")
        self._loop = asyncio.new_event_loop()
        self._serving = self._loop.create_task(self._serve())
        self._thread = threading.Thread(target=self._run, name="socket", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        self._loop.call_soon_threadsafe(self._serving.cancel)
        self._thread.join()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        with contextlib.closing(self._loop), self._listener, contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._serving)

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as conversations:
            self._watch(conversations)
            try:
                await asyncio.Future()  # until it is cancelled, and all conversations with it
            finally:
                self._loop.remove_reader(self._listener)

    def _watch(self, conversations: asyncio.TaskGroup) -> None:
        self._loop.add_reader(self._listener, self._take, conversations)

    def _take(self, conversations: asyncio.TaskGroup) -> None:
        # Not loop.sock_accept(): cancelled in the wrong moment, it loses a connection that it has taken.
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as e:  # out of descriptors: whoever waits in the kernel's queue keeps their place
            log.warning("can't take connections: %s", e)
            self._loop.remove_reader(self._listener)
            self._loop.call_later(0.1, self._watch, conversations)
            return
        conversation = conversations.create_task(self._converse(connection))
        conversation.add_done_callback(partial(_hang_up, connection))  # also of one that never began

    async def _converse(self, connection: socket.socket) -> None:
        pid, uid, gid = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        if self._open[uid] >= CONNECTIONS_EACH or self._open.total() >= CONNECTIONS:
            return
        self._open[uid] += 1
        turns = self._turns.setdefault(uid, asyncio.Semaphore(TURNS_EACH))
        try:
            async with turns, asyncio.timeout(self._deadline_s):
                await self._exchange(connection, Peer(uid, gid, pid))
        except TimeoutError:
            log.info("uid %d, pid %d: no whole request and answer in %g s", uid, pid, self._deadline_s)
        except OSError as e:
            log.debug("uid %d, pid %d: %s", uid, pid, e)
        except Exception:
            log.exception("uid %d, pid %d", uid, pid)  # a fault of ours, and no reason to leave all others alone
        finally:
            self._open[uid] -= 1
            if not self._open[uid]:
                del self._open[uid], self._turns[uid]

    async def _exchange(self, connection: socket.socket, peer: Peer) -> None:
        connection.setblocking(False)
        try:
            size = wire.size_of(await self._receive(connection, 4))
            verb, body = wire.decode_request(await self._receive(connection, size))
            call = Call(verb, body, peer)
            reply = await self._loop.run_in_executor(self._threads, self._reply, call)
        except BadRequest as e:
            log.info("uid %d, pid %d: %s", peer.uid, peer.pid, e)
            reply = wire.encode_refused(str(e))
        await self._loop.sock_sendall(connection, reply)

    def _reply(self, call: Call) -> bytes:
        try:
            return wire.encode_ok(self._answer(call))
        except wire.KeysWanted as wanted:
            return wire.encode_keys_wanted(wanted)
        except AnnexError as e:
            log.info("%s asked by %s: %s", call.verb, call.peer.name or call.peer.uid, e)
            return wire.encode_refused(str(e))
        except Exception:
            log.exception("%s asked by uid %d", call.verb, call.peer.uid)
            return wire.encode_refused("condor_annexd failed on this; its log says how")

    async def _receive(self, connection: socket.socket, size: int) -> bytes:
        received = bytearray()
        while len(received) < size:
            piece = await self._loop.sock_recv(connection, min(size - len(received), _PIECE))
            if not piece:
                raise ConnectionResetError("closed in the middle of a request")
            received += piece
        return bytes(received)


def _hang_up(connection: socket.socket, _: object) -> None:
    connection.close()


def listen(path: Path) -> socket.socket:
    """
    A listening socket at *path* that every user may open, there at once and whole.

    It is made under another name and moved into place, so nobody meets it before it listens with its final mode.
    Two daemons that start in the same instant are kept apart by the daemon's lock, not by this.

    Raises:
        Unavailable: Somebody listens there, something else than a socket is there, or the directory doesn't let us.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    making = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _make_way(path)
        making.unlink(missing_ok=True)
        listener.bind(str(making))
        making.chmod(0o666)
        listener.listen(BACKLOG)
        making.rename(path)
    except OSError as e:
        listener.close()
        making.unlink(missing_ok=True)
        raise Unavailable(f"can't listen at {path}: {e.strerror or e}") from e
    except Unavailable:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _make_way(path: Path) -> None:
    try:
        there = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(there.st_mode):
        raise Unavailable(f"can't listen at {path}: it is there already and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return  # nobody listens any more
        except BlockingIOError:
            pass  # somebody listens, with a full queue
    raise Unavailable(f"can't listen at {path}: another daemon answers there")
