"""The frame, both ends, and long-form job ads."""

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import classad2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annex_core.adapters import wire
from annex_core.errors import BadRequest, Refused, Unavailable
from annex_core.model import jobad

JOB = b'AnnexStatus = "old"\nClusterId = 7\nOwner = "alice"\nProcId = 0\nCmd = "/bin/sh"\n'
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
VALUES = st.binary(min_size=1).filter(lambda value: b"\n" not in value and bool(value.strip()))
ADS = st.lists(st.tuples(NAMES, VALUES), max_size=20, unique_by=lambda pair: pair[0].lower()).map(
    lambda pairs: b"".join(name.encode() + b" = " + value + b"\n" for name, value in pairs)
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "annexd.sock"


def peer(path: Path, behaviour: Callable[[socket.socket], object]) -> threading.Thread:
    """Somebody at the other end, once."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        with listener:
            connection, _ = listener.accept()
        with connection:
            behaviour(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def answers(reply: bytes) -> Callable[[socket.socket], object]:
    def answer(connection: socket.socket) -> None:
        size = int.from_bytes(connection.recv(4, socket.MSG_WAITALL), "big")
        connection.recv(size, socket.MSG_WAITALL)
        connection.sendall(reply)

    return answer


@given(st.sampled_from(sorted(wire.VERBS)), st.binary())
def test_a_request_arrives_as_it_was_sent(verb: str, body: bytes) -> None:
    sent = wire.encode_request(verb, body)
    assert wire.size_of(sent[:4]) == len(sent) - 4
    assert wire.decode_request(sent[4:]) == (verb, body)


@given(st.binary())
def test_an_answer_arrives_as_it_was_sent(body: bytes) -> None:
    assert wire.decode_answer(wire.encode_ok(body)[4:]) == body


@given(st.text())
def test_any_refusal_arrives_as_one_line(sentence: str) -> None:
    with pytest.raises(Refused) as caught:
        wire.decode_answer(wire.encode_refused(sentence)[4:])
    assert "\n" not in str(caught.value)


@given(st.binary())
def test_no_bytes_make_the_daemon_fail_otherwise_than_by_refusing_them(payload: bytes) -> None:
    for decode in (wire.size_of, wire.decode_request):
        with contextlib.suppress(BadRequest):
            decode(payload)


@pytest.mark.parametrize("payload", [b"annex/2 translate\nx", b"annex/1 translate", b"annex/1 dance\n", b""])
def test_another_version_verb_or_form_is_refused(payload: bytes) -> None:
    with pytest.raises(BadRequest):
        wire.decode_request(payload)


def test_a_frame_larger_than_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(BadRequest):
        wire.size_of((wire.LARGEST + 1).to_bytes(4, "big"))


def test_a_body_that_fits_no_frame_is_not_sent(path: Path) -> None:
    with pytest.raises(BadRequest):
        wire.ask(path, "translate", b"x" * wire.LARGEST, deadline_s=1)


def test_asking_returns_the_body(path: Path) -> None:
    other = peer(path, answers(wire.encode_ok(b"{}")))
    assert wire.ask(path, "status", b"{}", deadline_s=5) == b"{}"
    other.join()


def test_a_refusal_is_raised_with_its_sentence(path: Path) -> None:
    other = peer(path, answers(wire.encode_refused("not you")))
    with pytest.raises(Refused, match="not you"):
        wire.ask(path, "status", b"{}", deadline_s=5)
    other.join()


@pytest.mark.parametrize(
    "behaviour",
    [
        answers(wire.encode_ok(b"half an answer")[:-3]),
        answers(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        answers(b"\0\0\0\x0cannex/2 ok\n{"),
        answers(b"\0\0\0\0"),
        lambda connection: None,
    ],
)
def test_an_answer_that_makes_no_sense_counts_as_none(behaviour: Callable[[socket.socket], object], path: Path) -> None:
    other = peer(path, behaviour)
    with pytest.raises(Unavailable):
        wire.ask(path, "status", b"{}", deadline_s=5)
    other.join()


def test_no_daemon_is_unavailable(path: Path) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        wire.ask(path, "status", b"{}", deadline_s=1)


def test_a_silent_daemon_is_unavailable_at_the_deadline(path: Path) -> None:
    other = peer(path, lambda connection: connection.recv(1 << 20) + connection.recv(1))
    with pytest.raises(Unavailable, match=r"within 0\.2 s"):
        wire.ask(path, "status", b"{}", deadline_s=0.2)
    other.join()


@given(ADS, NAMES, st.text())
def test_replacing_an_attribute_leaves_the_other_lines_as_they_were(ad: bytes, name: str, text: str) -> None:
    replaced = jobad.with_attributes(ad, {name: jobad.literal(text)})
    others = [line for line in ad.split(b"\n")[:-1] if line.partition(b" = ")[0].lower() != name.lower().encode()]
    assert replaced == b"\n".join([*others, name.encode() + b" = " + jobad.literal(text), b""])


@given(ADS, NAMES, VALUES)
def test_an_attribute_is_found_whatever_its_case(ad: bytes, name: str, value: bytes) -> None:
    assert jobad.attribute(jobad.with_attributes(ad, {name: value}), name.swapcase()) == value.strip()


@given(st.text())
def test_any_text_makes_a_literal_that_htcondor_reads_as_one_string(text: str) -> None:
    read = classad2.ExprTree(jobad.literal(text).decode()).eval()
    assert isinstance(read, str)
    assert len(read) == len(text)


def test_the_last_of_two_lines_with_one_name_counts() -> None:
    assert jobad.string(JOB + b'owner = "bob"\n', "Owner") == "bob"


@pytest.mark.parametrize("written", [b"alice", b'"a" + "b"', b'strcat("a", "b")', b'"open', b'"a" "b"'])
def test_an_expression_is_no_string(written: bytes) -> None:
    assert jobad.string(b"Owner = " + written + b"\n", "Owner") is None


def test_a_quote_within_a_string_is_read() -> None:
    assert jobad.string(rb'Args = "say \"hi\" in c:\dir"' + b"\n", "Args") == r'say "hi" in c:\dir'


def test_a_translate_input_is_a_route_and_a_job() -> None:
    found = jobad.split_translate(b'[ Name = "annex"; TargetUniverse = 5 ]\n------\n' + JOB)
    assert found == jobad.Translation(route="annex", job=JOB)


@pytest.mark.parametrize("stdin", [b"", JOB, b"[ ]\n------\n", b"[ ]\n------\nClusterId = 1\n"])
def test_a_translate_input_without_a_job_is_refused(stdin: bytes) -> None:
    with pytest.raises(BadRequest):
        jobad.split_translate(stdin)


@pytest.mark.parametrize(
    ("owner", "peer_name"), [("alice", "bob"), ("alice", "root"), ("alice", None), (None, "alice"), ("Alice", "alice")]
)
def test_nobody_speaks_of_another_users_job(owner: str | None, peer_name: str | None) -> None:
    assert jobad.refusal(owner, peer_name)


def test_a_user_speaks_of_their_own_job() -> None:
    assert jobad.refusal("alice", "alice") is None
