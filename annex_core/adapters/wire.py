"""
The frame that hooks, the command line and the daemon speak over the daemon's socket; both ends.

A frame is 4 bytes of length, big-endian, then that many bytes, at most LARGEST: one ASCII header line ended by a
newline, then the body.

    request   annex/1 VERB\n BODY
    answer    annex/1 ok\n BODY
              annex/1 refused\n TEXT     one sentence, UTF-8
              annex/1 keys\n FILES       nothing was done: hand over the keys first, then ask again

The hooks, which import nothing of ours, have their own few lines of this in router_hooks/relay.py.
"""

import socket
import time
from pathlib import Path

from annex_core.errors import AnnexError, BadRequest, Refused, Unavailable

LARGEST = 8 << 20
"""Bytes of a frame, header and body; a job ad with an attribute of 1 MB has room."""
VERBS = frozenset(
    {
        "wake",
        "translate",
        "update",
        "finalize",
        "cleanup",
        "status",
        "costs",
        "create",
        "extend",
        "end",
        "freeze",
        "thaw",
        "remains",
        "plan",
        "why",
        "keys",
    }
)

AGAIN = "; ask again in a minute"
"""How a refusal ends that will not hold for long; commands wait a while and ask again."""

_LENGTH = 4
_GREETING = b"annex/1 "


class KeysWanted(AnnexError):  # noqa: N818 - it is an answer, and no failure
    """
    The daemon wants the asker's keys first.

    Args:
        files: Where they are, access key and secret; ~ stands for the asker's home.
    """

    def __init__(self, files: tuple[str, str]) -> None:
        super().__init__("condor_annexd asks for your keys first")
        self.files = files


def encode_request(verb: str, body: bytes) -> bytes:
    """
    Raises:
        BadRequest: There is no such verb, or the body is too large for a frame.
    """
    if verb not in VERBS:
        raise BadRequest(f"condor_annexd knows no {verb!r}")
    return _frame(verb, body)


def encode_ok(body: bytes) -> bytes:
    """
    Raises:
        BadRequest: The answer is too large for a frame; whoever asked should ask for less.
    """
    return _frame("ok", body)


def encode_refused(sentence: str) -> bytes:
    """One line of it, cut where a frame would be too small; a refusal always fits."""
    return _frame("refused", " ".join(sentence.split())[:2000].encode(errors="replace"))


def encode_keys_wanted(wanted: KeysWanted) -> bytes:
    return _frame("keys", "\n".join(wanted.files).encode())


def size_of(head: bytes) -> int:
    """
    How many bytes follow the 4 that start a frame.

    Raises:
        BadRequest: None, or more than LARGEST.
    """
    size = int.from_bytes(head, "big")
    if not len(_GREETING) < size <= LARGEST:
        raise BadRequest(f"a frame of {size} bytes; it has {LARGEST} at most")
    return size


def decode_request(payload: bytes) -> tuple[str, bytes]:
    """
    The verb and the body of a frame, its length taken off.

    Raises:
        BadRequest: Another version, an unknown verb, no header line.
    """
    verb, body = _split(payload)
    if verb not in VERBS:
        raise BadRequest(f"condor_annexd knows no {verb!r}")
    return verb, body


def decode_answer(payload: bytes) -> bytes:
    """
    The body of an answer, its frame's length taken off.

    Raises:
        Refused: With the daemon's sentence.
        KeysWanted: The daemon did nothing yet.
        BadRequest: It is no answer of this version.
    """
    word, body = _split(payload)
    if word == "keys":
        access, _, secret = body.decode(errors="replace").partition("\n")
        raise KeysWanted((access, secret))
    if word == "refused":
        raise Refused(body.decode(errors="replace"))
    if word != "ok":
        raise BadRequest(f"an answer that begins with {word!r}")
    return body


def ask(path: Path, verb: str, body: bytes, *, deadline_s: float) -> bytes:
    """
    One request and its answer.

    Args:
        deadline_s: For connecting, sending and receiving together.

    Raises:
        Refused: The daemon said no; str() is its sentence.
        KeysWanted: It wants the asker's keys first.
        BadRequest: What was to be sent makes no frame.
        Unavailable: No daemon, no answer in time, or one that makes no sense.
    """
    request = encode_request(verb, body)
    ends = time.monotonic() + deadline_s
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(deadline_s)
            connection.connect(str(path))
            connection.settimeout(_left(ends))
            connection.sendall(request)
            size = size_of(_receive(connection, _LENGTH, ends))
            return decode_answer(_receive(connection, size, ends))
    except TimeoutError as e:
        raise Unavailable(f"condor_annexd did not answer at {path} within {deadline_s:g} s") from e
    except OSError as e:
        raise Unavailable(f"condor_annexd does not answer at {path}: {e.strerror or e}") from e
    except BadRequest as e:
        raise Unavailable(f"what answers at {path} is no condor_annexd of this version: {e}") from e


def _frame(word: str, body: bytes) -> bytes:
    payload = _GREETING + word.encode() + b"\n" + body
    if len(payload) > LARGEST:
        raise BadRequest(f"{len(body)} bytes are too large to send; a frame has {LARGEST} at most")
    return len(payload).to_bytes(_LENGTH, "big") + payload


def _split(payload: bytes) -> tuple[str, bytes]:
    header, newline, body = payload.partition(b"\n")
    if not newline or not header.startswith(_GREETING) or not header.isascii():
        raise BadRequest(f"not a message of annex/1: {header[:40]!r}")
    return header.removeprefix(_GREETING).decode(), body


def _receive(connection: socket.socket, size: int, ends: float) -> bytes:
    parts = []
    while size:
        connection.settimeout(_left(ends))
        part = connection.recv(min(size, 1 << 20))
        if not part:
            raise ConnectionResetError("closed in the middle of an answer")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _left(ends: float) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
