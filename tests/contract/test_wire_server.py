"""The daemon's socket, with clients good and bad."""

import contextlib
import os
import pwd
import socket
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from annex_core.adapters import wire
from annex_core.adapters.server import ANSWERING_THREADS, CONNECTIONS_EACH, Call, Server
from annex_core.errors import Refused, Unavailable

needs_another_user = pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")

ASK = """
import socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(5)
connection.connect(sys.argv[1])
connection.sendall(sys.stdin.buffer.read())
print(connection.recv(4096)[4:].decode())
"""


def echo(call: Call) -> bytes:
    return call.body


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:  # pytest's own is closed to other users
        Path(directory).chmod(0o755)
        yield Path(directory, "annexd.sock")


@contextlib.contextmanager
def connections(path: Path, number: int, *, sending: bytes = b"") -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(number):
            connection = stack.enter_context(socket.socket(socket.AF_UNIX))
            connection.settimeout(10)
            connection.connect(str(path))
            if sending:
                connection.sendall(sending)
            opened.append(connection)
        yield opened


def asked_by_nobody(path: Path) -> str:
    """The answer that the user nobody gets, with the system's interpreter: ours may be out of their reach."""
    done = subprocess.run(
        ["/usr/bin/python3", "-IS", "-c", ASK, str(path)],
        input=wire.encode_request("status", b"{}"),
        user="nobody",
        capture_output=True,
        timeout=20,
        check=True,
    )
    return done.stdout.decode().partition("\n")[2].strip()


def is_dropped(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_request_is_answered(path: Path) -> None:
    with Server(path, echo):
        assert wire.ask(path, "status", b"hello", deadline_s=5) == b"hello"


def test_the_kernel_says_who_asks(path: Path) -> None:
    heard: list[Call] = []
    with Server(path, lambda call: heard.append(call) or b""):  # type: ignore[func-returns-value]
        wire.ask(path, "status", b"", deadline_s=5)
    asker = heard[0].peer
    assert (asker.uid, asker.gid, asker.pid) == (os.getuid(), os.getgid(), os.getpid())
    assert asker.name == pwd.getpwuid(os.getuid()).pw_name


@needs_another_user
def test_every_user_may_ask(path: Path) -> None:
    with Server(path, lambda call: str(call.peer.name).encode()):
        assert asked_by_nobody(path) == "nobody"


def test_a_refusal_of_the_answerer_is_told(path: Path) -> None:
    def refuse(call: Call) -> bytes:
        raise Refused("bob speaks of a job of 'alice'")

    with Server(path, refuse), pytest.raises(Refused, match="bob speaks"):
        wire.ask(path, "status", b"", deadline_s=5)


def test_a_fault_of_the_answerer_is_told_and_the_next_is_answered(path: Path) -> None:
    def answer(call: Call) -> bytes:
        return b"%d" % (1 // len(call.body))

    with Server(path, answer):
        with pytest.raises(Refused, match="its log says how"):
            wire.ask(path, "status", b"", deadline_s=5)
        assert wire.ask(path, "status", b"x", deadline_s=5) == b"1"


def test_an_answer_too_large_for_a_frame_is_told(path: Path) -> None:
    with Server(path, lambda call: b"x" * wire.LARGEST), pytest.raises(Refused, match="too large"):
        wire.ask(path, "status", b"", deadline_s=5)


def test_a_message_that_makes_no_sense_is_refused(path: Path) -> None:
    with Server(path, echo), connections(path, 1, sending=b"\0\0\0\x10annex/9 dance\n  ") as (one,):
        assert b"annex/1 refused\n" in one.recv(4096)


def test_a_client_that_never_sends_is_dropped(path: Path) -> None:
    with Server(path, echo, deadline_s=0.2), connections(path, 1) as (one,):
        assert is_dropped(one)


def test_a_client_that_sends_half_a_request_is_dropped(path: Path) -> None:
    half = wire.encode_request("status", b"x" * 1000)[:500]
    with Server(path, echo, deadline_s=0.2), connections(path, 1, sending=half) as (one,):
        assert is_dropped(one)


def test_a_client_that_does_not_take_its_answer_is_dropped(path: Path) -> None:
    request = wire.encode_request("status", b"")
    with Server(path, lambda call: b"x" * 1_000_000, deadline_s=0.2), connections(path, 1, sending=request) as (one,):
        time.sleep(0.5)  # the deadline that is tested is real
        received = 0
        with contextlib.suppress(ConnectionResetError):
            while piece := one.recv(1 << 16):
                received += len(piece)
    assert 0 < received < 1_000_000


def test_a_slow_answer_holds_nobody_else_up(path: Path) -> None:
    slow_began, fast_answered = threading.Event(), threading.Event()

    def answer(call: Call) -> bytes:
        if call.body == b"slow":
            slow_began.set()
            return b"in order" if fast_answered.wait(5) else b"held up"
        return b"fast"

    with Server(path, answer), connections(path, 1, sending=wire.encode_request("status", b"slow")) as (slow,):
        assert slow_began.wait(5)
        wire.ask(path, "status", b"", deadline_s=5)
        fast_answered.set()
        assert b"in order" in slow.recv(4096)


@needs_another_user
def test_a_thousand_silent_connections_of_one_user_keep_no_other_user_out(path: Path) -> None:
    with Server(path, echo, deadline_s=30), contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(connections(path, 250))
        assert asked_by_nobody(path) == "{}"


@needs_another_user
def test_half_sent_requests_of_one_user_keep_no_other_user_out(path: Path) -> None:
    half = wire.encode_request("status", b"x" * 100_000)[:-1]
    with Server(path, echo, deadline_s=30), connections(path, 100, sending=half):
        assert asked_by_nobody(path) == "{}"


def test_a_user_can_not_hold_more_connections_than_their_share(path: Path) -> None:
    with Server(path, echo, deadline_s=30), connections(path, CONNECTIONS_EACH + 1) as opened:
        assert is_dropped(opened[-1])


def test_more_requests_at_a_time_than_turns_are_all_answered(path: Path) -> None:
    request = wire.encode_request("status", b"x")
    with Server(path, echo), connections(path, 100, sending=request) as opened:
        assert all(b"annex/1 ok\nx" in one.recv(4096) for one in opened)


def test_one_user_does_not_keep_all_answering_threads_busy(path: Path) -> None:
    busy, most, pause = [0], [0], threading.Event()

    def answer(call: Call) -> bytes:
        busy[0] += 1
        most[0] = max(most[0], busy[0])
        pause.wait(0.05)
        busy[0] -= 1
        return b""

    with (
        Server(path, answer),
        connections(path, 3 * ANSWERING_THREADS, sending=wire.encode_request("status", b"")) as opened,
    ):
        for one in opened:
            one.recv(4096)
    assert 1 < most[0] < ANSWERING_THREADS


def test_leaving_does_not_wait_for_clients(path: Path) -> None:
    with contextlib.ExitStack() as clients:
        with Server(path, echo, deadline_s=30):
            opened = clients.enter_context(connections(path, 3))
            began = time.monotonic()
        assert time.monotonic() - began < 10
        assert all(map(is_dropped, opened))


def test_the_socket_is_open_to_all(path: Path) -> None:
    with Server(path, echo):
        assert stat.S_IMODE(path.stat().st_mode) == 0o666


def test_the_socket_goes_with_the_daemon(path: Path) -> None:
    with Server(path, echo):
        pass
    assert list(path.parent.iterdir()) == []


def test_a_dead_daemons_socket_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with Server(path, echo):
        assert wire.ask(path, "status", b"x", deadline_s=5) == b"x"


def test_a_living_daemons_socket_is_left_alone(path: Path) -> None:
    with Server(path, lambda call: b"first"):
        with pytest.raises(Unavailable, match="another daemon"), Server(path, lambda call: b"second"):
            pass
        assert wire.ask(path, "status", b"", deadline_s=5) == b"first"


def test_a_file_that_is_no_socket_is_left_alone(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(Unavailable, match="no socket"), Server(path, echo):
        pass
    assert path.read_text() == "precious"


def test_a_socket_that_took_its_place_is_not_taken_away(path: Path) -> None:
    with Server(path, echo), socket.socket(socket.AF_UNIX) as newer:
        path.unlink()
        newer.bind(str(path))
    assert path.is_socket()


def test_a_missing_directory_is_unavailable(path: Path) -> None:
    with pytest.raises(Unavailable, match="can't listen"), Server(path / "deeper" / "annexd.sock", echo):
        pass
