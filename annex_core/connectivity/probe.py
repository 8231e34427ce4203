"""
Asks an address who is there, in HTCondor's wire protocol (CEDAR), without a credential.

A daemon that is asked for a command answers first of all with what it wants of the asker, and says there to which trust
domain it belongs. It does so only for commands that it knows: one that only collectors know tells them from the rest.

Integers are 8 bytes, big-endian; strings end with a NUL; a ClassAd is the number of its lines, the lines, and two more
strings; a message is a byte 1, four bytes of length, and that much. Source: what a collector of HTCondor 23.9 takes.
"""

import re
import socket
import struct
import time
from collections.abc import Iterable

from annex_core.connectivity.addresses import Address
from annex_core.connectivity.answer import Answer, Verdict

PATIENCE_S = 10.0
"""For each address, from the first packet to the last."""

_SHARED_PORT_CONNECT = 75
_QUERY_COLLECTOR_ADS = 20
_DC_AUTHENTICATE = 60010
_LONGEST_ANSWER = 64 * 1024

_ASKED = {
    "Command": str(_QUERY_COLLECTOR_ADS),
    "AuthMethods": '"TOKEN,SSL,FS"',
    "AuthMethodsList": '"TOKEN,SSL,FS"',
    "CryptoMethods": '"AES,BLOWFISH,3DES"',
    "OutgoingNegotiation": '"PREFERRED"',
    "Authentication": '"OPTIONAL"',
    "Encryption": '"OPTIONAL"',
    "Integrity": '"OPTIONAL"',
    "Enact": '"NO"',
    "NewSession": '"YES"',
    "SessionDuration": '"60"',
    "Subsystem": '"TOOL"',
    "RemoteVersion": '"$CondorVersion: 10.0.0 2022-11-10 $"',
}
"""What a client that takes anything sends, of a version that knows all of this."""

_LINE = re.compile(r'(\w+) = "(.*)"')


def ask(address: Address, trust_domain: str, *, patience_s: float = PATIENCE_S) -> Answer:
    """
    Who is at that address? A name is tried by each of its IP addresses until one is the collector's.

    Args:
        address: Of a collector, by itself or behind a shared port.
        trust_domain: Of the pool whose collector it should be.
        patience_s: For all of it.
    """
    until = time.monotonic() + patience_s
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return Answer(address, Verdict.NO_SUCH_NAME)
    places = list(dict.fromkeys((family, place[0], place) for family, _, _, _, place in found))
    answers = []
    for number, (family, ip, place) in enumerate(places):
        share = max(0.1, (until - time.monotonic()) / (len(places) - number))
        answers.append(_ask_one(address, family, place, str(ip), trust_domain, share))
        if answers[-1].good:
            break
    return min(answers, key=lambda answer: list(Verdict).index(answer.verdict))


def _ask_one(
    address: Address, family: int, place: tuple[object, ...], ip: str, trust_domain: str, patience_s: float
) -> Answer:
    until = time.monotonic() + patience_s
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(patience_s)
        try:
            connection.connect(place)
        except TimeoutError:
            return Answer(address, Verdict.SILENT, ip)
        except ConnectionRefusedError:
            return Answer(address, Verdict.REFUSED, ip)
        except OSError:
            return Answer(address, Verdict.UNREACHABLE, ip)
        try:
            connection.sendall(_question(address.sock))
            told = _told(_message(connection, until))
        except (OSError, ValueError):
            return Answer(address, Verdict.NO_COLLECTOR, ip)
    theirs = told.get("TrustDomain")
    if theirs is None:
        return Answer(address, Verdict.NO_COLLECTOR, ip)
    version = re.search(r"\d+\.\d+\.\d+", told.get("RemoteVersion", ""))
    verdict = Verdict.COLLECTOR if theirs.casefold() == trust_domain.casefold() else Verdict.OTHER_POOL
    return Answer(address, verdict, ip, theirs, version and version[0])


def _question(sock: str | None) -> bytes:
    """To the shared port, which daemon is meant; to the daemon, what is asked for."""
    parts = []
    if sock:
        # Who asks, for a log; no deadline; and no more arguments.
        meant = [_integer(_SHARED_PORT_CONNECT), _string(sock), _string("condor_annex"), _integer(-1), _integer(0)]
        parts.append(_framed(meant))
    lines = [_string(f"{name} = {value}") for name, value in _ASKED.items()]
    parts.append(_framed([_integer(_DC_AUTHENTICATE), _integer(len(lines)), *lines, _string(""), _string("")]))
    return b"".join(parts)


def _integer(value: int) -> bytes:
    return struct.pack(">q", value)


def _string(text: str) -> bytes:
    return text.encode() + b"\0"


def _framed(parts: Iterable[bytes]) -> bytes:
    content = b"".join(parts)
    return struct.pack(">BI", 1, len(content)) + content


def _message(connection: socket.socket, until: float) -> bytes:
    """
    Raises:
        ValueError: It is none of CEDAR's.
        OSError: The other side closed or fell silent before its end.
    """
    last, length = struct.unpack(">BI", _exactly(connection, 5, until))
    if last != 1 or not 0 < length <= _LONGEST_ANSWER:
        raise ValueError("not a message of CEDAR")
    return _exactly(connection, length, until)


def _exactly(connection: socket.socket, length: int, until: float) -> bytes:
    content = b""
    while len(content) < length:
        connection.settimeout(max(0.01, until - time.monotonic()))
        more = connection.recv(length - len(content))
        if not more:
            raise ConnectionError("closed before its end")
        content += more
    return content


def _told(message: bytes) -> dict[str, str]:
    """The strings among the attributes of a ClassAd."""
    lines = message[8:].decode("utf-8", "replace").split("\0")
    return {found[1]: found[2] for line in lines if (found := _LINE.fullmatch(line))}
