"""
Where a collector is, as HTCondor's configuration writes it. Pure.

    ap.example.org                              port 9618
    ap.example.org:9619, 192.0.2.7:9619         any port
    ap.example.org:9618?sock=annex_collector    a daemon behind a shared port
    [2001:db8::7]:9618, 2001:db8::7             IPv6
    <192.0.2.7:9618?addrs=192.0.2.7-9618+[2001-db8--7]-9618&alias=ap&sock=annex_collector>    as daemons advertise

Several stand in a list, separated by commas or blanks.
"""

import ipaddress
import re
from dataclasses import dataclass, replace
from urllib.parse import parse_qs

COLLECTOR_PORT = 9618
"""Where a collector is if nothing says otherwise. Source: HTCondor's COLLECTOR_PORT."""

_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.(?!-)[A-Za-z0-9_-]{1,63})*\.?")
_SPLIT = re.compile(r"[\s,]+")


@dataclass(frozen=True)
class Address:
    host: str
    """A name, or an IP address without brackets."""
    port: int = COLLECTOR_PORT
    sock: str | None = None
    """The daemon's name at a shared port."""

    @property
    def ip(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """None where the host is a name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" + (f"?sock={self.sock}" if self.sock else "")


def addresses(text: str) -> tuple[Address, ...]:
    """
    Each collector that a value of COLLECTOR_HOST names, in its order; one that has several addresses by each.

    Raises:
        ValueError: A part is no such address, with what it is; or there is none.
    """
    found = [address for part in _SPLIT.split(text.strip()) if part for address in _each(part)]
    if not found:
        raise ValueError("it names no collector")
    return tuple(dict.fromkeys(found))


def _each(part: str) -> list[Address]:
    text = part[1:-1] if part.startswith("<") and part.endswith(">") else part
    where, _, rest = text.partition("?")
    parameters = parse_qs(rest, keep_blank_values=True, separator="&")
    sock = parameters.get("sock", [""])[0] or None
    if "CCBID" in parameters:
        raise ValueError(f"{part!r} is reached through another collector (CCB): nothing can join there")
    own = [_plain(where, part)]
    # A plus in a query means a blank, for parse_qs too.
    for other in parameters.get("addrs", [""])[0].split():
        host, _, port = other.rpartition("-")
        own.append(_plain(f"{host.replace('-', ':') if '[' in host else host}:{port}", part))
    return [replace(address, sock=sock) for address in own]


def _plain(text: str, part: str) -> Address:
    """HOST, HOST:PORT, [IPV6] or [IPV6]:PORT, or an IPv6 address alone."""
    if text.startswith("["):
        host, closed, after = text[1:].partition("]")
        port = after.removeprefix(":")
        known = bool(closed) and _is_ip(host) and (not after or after.startswith(":"))
    elif text.count(":") > 1:
        host, port, known = text, "", _is_ip(text)
    else:
        host, _, port = text.partition(":")
        # A name's last label is never all digits: 192.0.2 and 192.0.2.300 are addresses gone wrong.
        known = _is_ip(host) or (bool(_NAME.fullmatch(host)) and not host.rstrip(".").rpartition(".")[2].isdigit())
    if not known:
        raise ValueError(f"{part!r} is no address of a collector")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{part!r}: {port!r} is no port")
    return Address(host, int(port) if port else COLLECTOR_PORT)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
