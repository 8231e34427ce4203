"""Each hook as the process that the job router starts, in front of a real socket."""

import ast
import os
import runpy
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import classad2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annex_core.adapters.server import Call, Server
from annex_core.model import jobad

HOOKS = Path(__file__).parents[2] / "router_hooks"
ROUTE = b'[ Name = "annex"; TargetUniverse = 5 ]'
JOB = b'AnnexStatus = "old"\nClusterId = 7\nOwner = "alice"\nProcId = 0\nRequirements = (TARGET.Arch == "X86_64")\n'
TRANSLATE = ROUTE + b"\n------\n" + JOB
OTHERS = ["update", "finalize", "cleanup"]
DEADLINE_S = 0.4


def run(verb: str, stdin: bytes, path: Path, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [str(HOOKS / f"annex_{verb}")],
        input=stdin,
        capture_output=True,
        env={"ANNEXD_SOCKET": str(path), "ANNEX_HOOK_DEADLINE": str(DEADLINE_S), **environment},
        timeout=20,
        check=False,
    )


def parsed(ad: bytes) -> dict[str, str]:
    """Attributes by name; fails on a line that is none."""
    return dict(line.split(" = ", 1) for line in ad.decode().splitlines())


def status_of(ad: bytes) -> str:
    sentence = classad2.ExprTree(parsed(ad)["AnnexStatus"]).eval()
    assert isinstance(sentence, str)
    return sentence


def frame(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


def drain(connection: socket.socket) -> None:
    size = int.from_bytes(connection.recv(4, socket.MSG_WAITALL), "big")
    connection.recv(size, socket.MSG_WAITALL)


def says(answer: bytes) -> Callable[[socket.socket], None]:
    """A daemon that reads the request, sends these bytes and closes."""

    def speak(connection: socket.socket) -> None:
        drain(connection)
        connection.sendall(answer)

    return speak


def hangs(connection: socket.socket) -> None:
    drain(connection)
    connection.recv(1)  # until the hook goes away


def reads_nothing(connection: socket.socket) -> None:
    gone = threading.Event()
    gone.wait(DEADLINE_S * 5)


def dribbles(connection: socket.socket) -> None:
    drain(connection)
    pause = threading.Event()
    for byte in frame(b"annex/1 ok\n" + JOB):
        connection.send(bytes([byte]))
        pause.wait(0.05)


def closes_at_once(connection: socket.socket) -> None:
    pass


WRONG: dict[str, Callable[[socket.socket], None]] = {
    "hangs": hangs,
    "dribbles": dribbles,
    "closes at once": closes_at_once,
    "closes in the middle": says(frame(b"annex/1 ok\n" + JOB)[:-20]),
    "sends garbage": says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "sends another version": says(frame(b"annex/2 ok\n" + JOB)),
    "sends too large a frame": says(frame(b"annex/1 ok\n" + JOB + b'Big = "' + b"x" * (9 << 20) + b'"\n')),
    "sends an empty frame": says(frame(b"")),
    "sends a word of its own": says(frame(b"annex/1 maybe\n" + JOB)),
    "sends a line that is no attribute": says(frame(b"annex/1 ok\n" + JOB + b"Oops\n")),
    "refuses": says(frame(b"annex/1 refused\nThe budget is spent.")),
}
WRONG_TO_TRANSLATE = WRONG | {
    "sends an empty body": says(frame(b"annex/1 ok\n")),
    "sends another job": says(frame(b"annex/1 ok\n" + JOB.replace(b"ClusterId = 7", b"ClusterId = 8"))),
    "sends half a job": says(frame(b"annex/1 ok\nClusterId = 7\n")),
}


WAKE = frame(b"annex/1 wake\n")


@contextmanager
def daemon(path: Path, behaviour: Callable[[socket.socket], None]) -> Iterator[None]:
    """It behaves so to the request; a word to wake it is nothing that it has to answer."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            while connection.recv(len(WAKE), socket.MSG_PEEK) == WAKE:
                connection.close()
                connection, _ = listener.accept()
            with connection, suppress(OSError):  # the hook has gone, as it should
                behaviour(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "annexd.sock"


@pytest.mark.parametrize("verb", ["translate", *OTHERS])
def test_a_hook_prints_what_the_daemon_answers(verb: str, path: Path) -> None:
    answer = JOB + b'AnnexCost = 0.25\nAnnexStatus = "2 instances are booting"\n'
    with Server(path, lambda call: answer):
        done = run(verb, TRANSLATE, path)
    assert (done.returncode, done.stdout, done.stderr) == (0, answer, b"")


@pytest.mark.parametrize("verb", ["translate", *OTHERS])
def test_a_hook_hands_the_daemon_its_verb_and_its_input_as_they_are(verb: str, path: Path) -> None:
    heard: list[Call] = []

    def answer(call: Call) -> bytes:
        heard.append(call)
        return JOB

    with Server(path, answer):
        run(verb, TRANSLATE + b'Odd = "\xff\t \\"\n\n', path)
    asked = [(call.verb, call.body) for call in heard if call.verb != "wake"]
    assert asked == [(verb, TRANSLATE + b'Odd = "\xff\t \\"\n\n')]


def test_translate_wakes_the_daemon_before_the_router_has_written_anything(path: Path) -> None:
    woken = threading.Event()

    def answer(call: Call) -> bytes:
        if call.verb == "wake":
            woken.set()
        return JOB

    environment = {"ANNEXD_SOCKET": str(path)}
    with (
        Server(path, answer),
        subprocess.Popen(
            [str(HOOKS / "annex_translate")], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as hook,
    ):
        assert woken.wait(20)
        assert hook.communicate(TRANSLATE) == (JOB, None)


@pytest.mark.parametrize("verb", OTHERS)
def test_the_hooks_of_routed_copies_which_run_at_every_poll_wake_nobody(verb: str, path: Path) -> None:
    verbs: list[str] = []

    def answer(call: Call) -> bytes:
        verbs.append(call.verb)
        return b""

    with Server(path, answer):
        run(verb, JOB, path)
    assert verbs == [verb]


def test_an_attribute_of_a_megabyte_passes_both_ways(path: Path) -> None:
    job = JOB + b'Big = "' + b"x" * 1_000_000 + b'"\n'
    with Server(path, lambda call: jobad.split_translate(call.body).job):
        assert run("translate", ROUTE + b"\n------\n" + job, path, ANNEX_HOOK_DEADLINE="10").stdout == job


@pytest.mark.parametrize("behaviour", WRONG_TO_TRANSLATE.values(), ids=WRONG_TO_TRANSLATE.keys())
def test_translate_prints_the_job_unchanged_but_for_its_status_when_the_daemon(
    behaviour: Callable[[socket.socket], None], path: Path
) -> None:
    with daemon(path, behaviour):
        done = run("translate", TRANSLATE, path)
    assert done.returncode == 0
    assert parsed(done.stdout) | {"AnnexStatus": '"old"'} == parsed(JOB)
    assert status_of(done.stdout) != "old"


def test_translate_prints_the_job_when_there_is_no_socket(path: Path) -> None:
    done = run("translate", TRANSLATE, path)
    assert done.returncode == 0
    assert "the annex service does not answer" in status_of(done.stdout)


def test_translate_prints_the_job_when_a_dead_daemon_left_its_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    done = run("translate", TRANSLATE, path)
    assert done.returncode == 0
    assert "the annex service does not answer" in status_of(done.stdout)


def test_translate_prints_a_job_too_large_for_the_wire(path: Path) -> None:
    big = b'Big = "' + b"x" * (8 << 20) + b'"\n'
    with Server(path, lambda call: JOB):
        done = run("translate", TRANSLATE + big, path)
    assert done.returncode == 0
    assert big in done.stdout
    assert "larger than 8 MiB" in status_of(done.stdout)


@pytest.mark.parametrize("behaviour", [hangs, dribbles, reads_nothing])
def test_a_hook_is_done_by_its_deadline(behaviour: Callable[[socket.socket], None], path: Path) -> None:
    with daemon(path, behaviour):
        began = time.monotonic()
        done = run("translate", TRANSLATE + b'Big = "' + b"x" * 1_000_000 + b'"\n', path)
        took = time.monotonic() - began
    assert DEADLINE_S - 0.05 <= took < DEADLINE_S + 10
    assert f"within {DEADLINE_S:g} s" in status_of(done.stdout)


@pytest.mark.parametrize("nonsense", ["", "soon", "-1", "0", "nan", "inf", "86400"])
def test_a_deadline_that_makes_no_sense_is_the_default(nonsense: str, path: Path) -> None:
    with Server(path, lambda call: JOB):
        assert run("translate", TRANSLATE, path, ANNEX_HOOK_DEADLINE=nonsense).stdout == JOB


def test_a_refusal_is_what_the_user_reads(path: Path) -> None:
    with daemon(path, says(frame(b"annex/1 refused\nThe budget of annex blue is spent."))):
        assert status_of(run("translate", TRANSLATE, path).stdout) == "The budget of annex blue is spent."


def test_a_refusal_can_not_break_out_of_the_status(path: Path) -> None:
    with daemon(path, says(frame(b'annex/1 refused\nno "\\" way\nOwner = "root"\x00'))):
        done = run("translate", TRANSLATE, path)
    assert status_of(done.stdout) == "no '/' way Owner = 'root' "
    assert parsed(done.stdout)["Owner"] == '"alice"'


def test_an_older_status_goes_whatever_its_case(path: Path) -> None:
    done = run("translate", ROUTE + b'\n------\nannexstatus = "old"\nClusterId = 7\nProcId = 0\n', path)
    assert b"old" not in done.stdout


@pytest.mark.parametrize("stdin", [b"", b"\n", ROUTE, ROUTE + b"\n------\n", JOB, ROUTE + b"\n------\nClusterId = 7\n"])
def test_translate_of_something_that_is_no_job_fails_with_one_line(stdin: bytes, path: Path) -> None:
    with Server(path, lambda call: JOB):
        done = run("translate", stdin, path)
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("verb", OTHERS)
@pytest.mark.parametrize("behaviour", WRONG.values(), ids=WRONG.keys())
def test_the_other_hooks_change_nothing_when_the_daemon(
    behaviour: Callable[[socket.socket], None], verb: str, path: Path
) -> None:
    with daemon(path, behaviour):
        done = run(verb, JOB, path)
    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.parametrize("verb", OTHERS)
def test_the_other_hooks_change_nothing_when_the_daemon_is_down(verb: str, path: Path) -> None:
    done = run(verb, JOB, path)
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("verb", OTHERS)
def test_the_other_hooks_exit_with_0_even_when_nobody_takes_their_output(verb: str, path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with Server(path, lambda call: JOB):
        done = subprocess.run(
            [str(HOOKS / f"annex_{verb}")],
            input=JOB,
            stdout=writing,
            stderr=subprocess.PIPE,
            env={"ANNEXD_SOCKET": str(path)},
            check=False,
        )
    os.close(writing)
    assert done.returncode == 0
    assert b"Broken pipe" in done.stderr


def test_hooks_import_sys_os_and_socket_and_nothing_else() -> None:
    tree = ast.parse((HOOKS / "relay.py").read_text())
    at_start = {name.name for node in tree.body if isinstance(node, ast.Import) for name in node.names}
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert at_start == {"os", "socket", "sys"}
    assert imported - at_start == {"owner_keys"}  # when it is asked for keys
    assert not any(isinstance(node, ast.ImportFrom) for node in ast.walk(tree))


@given(st.text())
def test_any_sentence_becomes_one_attribute(sentence: str) -> None:
    with_status = runpy.run_path(str(HOOKS / "relay.py"))["with_status"]
    printed = with_status(JOB, sentence)
    assert printed.count(b"\n") == JOB.count(b"\n")
    assert len(status_of(printed)) == min(len(sentence), 500)
