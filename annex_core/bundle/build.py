"""
What an instance is given: its bundle and its user data. Pure: no clock, no files but this package's own.

A bundle is laid out flat, for HTCondor's condor-annex-ec2 boot service unpacks it into /etc/condor/config.d:

    60-annex.config      the annex's macros, then annex.config
    annex-tokens/annex   its IDTOKEN; a folder, so that HTCondor does not read it as configuration
    annex-boot/          for boot.sh: notice.sh; install.sh, and version, the one of the access point's HTCondor
    *                    the files of the route's AnnexConfigDir

boot.sh adds 49ec2-instance.config (as that service does), 61-annex-lease.config and, once AWS has given notice,
62-annex-notice.config.
"""

import gzip
import io
import re
import shlex
import tarfile
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from importlib.resources import files

from annex_core.errors import BadRequest, BadRoute, Refused
from annex_core.model.names import AnnexKey
from annex_core.model.tags import stamp

USER_DATA_LIMIT = 16 * 1024
"""Bytes, before base64. Source: EC2's limit on user data."""

FETCH_WITHIN = timedelta(minutes=5)
"""How long an instance tries to fetch its bundle before it powers off."""

_CONFIG = "60-annex.config"
_TOKENS = "annex-tokens"
_BOOT = "annex-boot"
_RESERVED = frozenset(
    {"49ec2-instance.config", _CONFIG, "61-annex-lease.config", "62-annex-notice.config", _TOKENS, _BOOT}
)
_CONFIG_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_COMMENT = re.compile(r"^ *#(?!!).*\n", re.MULTILINE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class ExecutionPoint:
    """What the execution points of one annex have to know."""

    key: AnnexKey
    project: str
    route: str
    collector: str
    """Where they report and register with CCB: a value of COLLECTOR_HOST."""
    trust_domain: str
    idle_timeout: timedelta
    lease_ends: datetime
    hourly_prices: Mapping[str, Decimal] = field(default_factory=dict)
    """USD an hour by instance type, as far as known; a type without one advertises none."""
    version: str | None = None
    """Of the access point's HTCondor, such as 23.9.6: machines without HTCondor install one of its series."""


def bundle(point: ExecutionPoint, *, token: str, config_dir: Mapping[str, bytes]) -> bytes:
    """
    Pack what an instance fetches at boot.

    Args:
        point: What goes into its configuration.
        token: The IDTOKEN of the annex's identity.
        config_dir: Content by name of the files in the route's AnnexConfigDir; they are read in the order of their
            names, so one after 60-annex.config overrides ours.

    Returns:
        A gzipped tar archive; the same input gives the same bytes.

    Raises:
        BadRoute: A file of AnnexConfigDir has a name that HTCondor would skip, or that is ours.
        BadRequest: Project or owner hold control characters.
    """
    for name in config_dir:
        if name in _RESERVED or not _CONFIG_NAME.fullmatch(name):
            raise BadRoute(point.route, f"AnnexConfigDir: a file can't be called {name!r}")
    archive = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=archive, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        contents = {_CONFIG: _configuration(point).encode(), **config_dir}
        # Readable for all: HTCondor passes in silence over a file that one of its daemons can't read, START and all.
        for name in sorted(contents):
            _add(tar, name, contents[name], 0o644)
        _add_folder(tar, _TOKENS, 0o700)
        _add(tar, f"{_TOKENS}/annex", token.encode() + b"\n", 0o600)
        _add_folder(tar, _BOOT, 0o755)
        _add(tar, f"{_BOOT}/notice.sh", _package_text("notice.sh").encode(), 0o644)
        if point.version:
            _add(tar, f"{_BOOT}/install.sh", _package_text("install.sh").encode(), 0o644)
            _add(tar, f"{_BOOT}/version", point.version.encode() + b"\n", 0o644)
    return archive.getvalue()


def user_data(
    *, source: str | bytes, lease_ends: datetime, ends_at_latest: datetime, warm_until: datetime | None = None
) -> str:
    """
    The script that cloud-init runs as root at first boot.

    Args:
        source: The URL of the bundle, good without credentials until the last instance has booted; or the bundle.
        lease_ends: For an instance that can't read its LeaseEnds tag.
        ends_at_latest: The outer bound, whatever the tag says.
        warm_until: Until then it does not leave for want of work.

    Raises:
        Refused: It would be longer than EC2 takes.
    """
    header = {
        **({"BUNDLE_URL": source} if isinstance(source, str) else {"BUNDLE": b64encode(source).decode()}),
        "BUNDLE_WITHIN": str(int(FETCH_WITHIN.total_seconds())),
        "LEASE_ENDS": stamp(lease_ends),
        "ENDS_AT_LATEST": stamp(ends_at_latest),
        **({"WARM_UNTIL": stamp(warm_until)} if warm_until else {}),
    }
    shebang, _, script = _package_text("boot.sh").partition("\n")
    settings = "".join(f"{name}={shlex.quote(value)}\n" for name, value in header.items())
    text = f"{shebang}\n{settings}{script}"
    if len(text.encode()) > USER_DATA_LIMIT:
        raise Refused(f"user data of {len(text.encode())} bytes, EC2 takes {USER_DATA_LIMIT}")
    return text


def _configuration(point: ExecutionPoint) -> str:
    macros = {
        "AnnexOwner": _string(point.key.owner),
        "AnnexName": _string(point.key.name),
        "AnnexProject": _string(point.project),
        "AnnexRoute": _string(point.route),
        "AnnexCollector": point.collector,
        "AnnexTrustDomain": point.trust_domain,
        "AnnexIdleTimeout": str(int(point.idle_timeout.total_seconds())),
        "AnnexLeaseEnds": str(int(point.lease_ends.timestamp())),
    }
    for instance_type, price in sorted(point.hourly_prices.items()):
        # boot.sh forms the same name: a dot would make it a macro of one daemon, a dash none at all.
        macros["AnnexPrice_" + re.sub(r"[.-]", "_", instance_type)] = f"{price:f}"
    lines = "".join(f"{name} = {value}\n" for name, value in macros.items())
    return f"{lines}\n{_package_text('annex.config')}"


def _string(value: str) -> str:
    """A ClassAd string in a configuration file, where macros are expanded first."""
    if _CONTROL.search(value):
        raise BadRequest(f"control characters in {value!r}")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$(DOLLAR)")
    return f'"{escaped}"'


def _add_folder(tar: tarfile.TarFile, name: str, mode: int) -> None:
    folder = tarfile.TarInfo(name)
    folder.type, folder.mode = tarfile.DIRTYPE, mode
    tar.addfile(folder)


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    tar.addfile(member, io.BytesIO(content))


def _package_text(name: str) -> str:
    """Without its comments: user data is short, and a bundle may have to travel in it."""
    return _COMMENT.sub("", files(__package__).joinpath(name).read_text())
