"""The daemon's own knobs in HTCondor's configuration: what is one for the pool, not one for a route."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import htcondor2

from annex_core.errors import Refused
from annex_core.model import duration

_SIZE = re.compile(r"(\d{1,15})\s*(?:([kmgt]?)b?)?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


KNOBS: Mapping[str, str | None] = {
    "ANNEXD_INTERVAL": "60",
    "ANNEXD_CREDENTIALS": None,
    "ANNEX_KEY_FILES": "~/.condor/publicKeyFile ~/.condor/privateKeyFile",
    "ANNEXD_JOURNAL": "$(SPOOL)/annexd/journal.db",
    "ANNEXD_SOCKET": "$(RUN)/annexd.sock",
    "ANNEXD_LOG": "$(LOG)/AnnexdLog",
    "MAX_ANNEXD_LOG": "10 Mb",
    "MAX_NUM_ANNEXD_LOG": "1",
    "ANNEXD_DEBUG": None,
    "ANNEX_AUDIT_LOG": "$(LOG)/AnnexAuditLog",
    "MAX_ANNEX_AUDIT_LOG": "10 Mb",
    "MAX_NUM_ANNEX_AUDIT_LOG": "2",
    "ANNEX_POOL": "$(SCHEDD_NAME)",
    "ANNEX_DOMAIN": "$(TRUST_DOMAIN)",
    "ANNEX_COLLECTOR_HOST": None,
    "ANNEX_ADMINISTRATORS": None,
    "ANNEX_DEFAULT_ROUTE": None,
    "ANNEXD_LEARN_RUN_TIMES": "True",
    "ANNEX_LIMITS": None,
}
"""What stands in for each knob that is not set; None: nothing does."""


@dataclass(frozen=True)
class LogSettings:
    """Of ANNEXD_LOG, or of ANNEX_AUDIT_LOG."""

    file: Path
    max_bytes: int
    """MAX_<log>, after which the file is put aside; 0: never."""
    keep: int
    """MAX_NUM_<log>, files put aside."""
    full: bool = False
    """ANNEXD_DEBUG names D_FULLDEBUG or D_ALL."""


@dataclass(frozen=True)
class Settings:
    """
    Source:
        The knobs named; 53-annex-daemon.config sets them.
    """

    access_point: str
    """SCHEDD_NAME, else FULL_HOSTNAME: what the tag htcondor:AccessPoint says."""
    pool: str
    """ANNEX_POOL, else the access point, where the annexes' pool lives: what the tag htcondor:Pool says."""
    domain: str
    """ANNEX_DOMAIN, the domain of execution points' identities."""
    trust_domain: str
    """TRUST_DOMAIN, the issuer of their tokens."""
    collector: str
    """ANNEX_COLLECTOR_HOST, where execution points report."""
    socket: Path
    """ANNEXD_SOCKET."""
    journal: Path
    """ANNEXD_JOURNAL."""
    lock: Path
    """Beside the journal: who holds it is the one daemon."""
    interval: timedelta
    """ANNEXD_INTERVAL."""
    credentials: Path | None
    """ANNEXD_CREDENTIALS, an AWS shared credentials file; None: boto3's own chain."""
    key_files: tuple[str, str]
    """ANNEX_KEY_FILES: where users keep their access key and its secret, for routes with AnnexCredentials = owner."""
    administrators: frozenset[str]
    """ANNEX_ADMINISTRATORS: the users who see everybody's annexes, beside root and condor."""
    version: str | None
    """Of the access point's own HTCondor, which machines of stock images install; None where it can't be told."""
    default_route: str
    """ANNEX_DEFAULT_ROUTE: the route of annexes that are created by hand; empty where it is not set."""
    learn_run_times: bool
    """ANNEXD_LEARN_RUN_TIMES: go by the schedd's history in how many machines are worth their boot."""
    log: LogSettings
    audit: LogSettings


def settings(configuration: Mapping[str, str] = htcondor2.param) -> Settings:
    """
    Args:
        configuration: HTCondor's, expanded; it takes names in any case. Its default is this process's own, which
            htcondor2.reload_config() reads anew.

    Raises:
        Refused: A knob is missing or makes no sense; the sentence names it.
    """
    knobs = _Knobs(configuration)
    access_point = knobs.text("SCHEDD_NAME", knobs.text("FULL_HOSTNAME", ""))
    journal = knobs.path("ANNEXD_JOURNAL", knobs.under("SPOOL", "annexd/journal.db"))
    return Settings(
        access_point=access_point or knobs.required("FULL_HOSTNAME"),
        pool=pool_name(configuration),
        domain=knobs.text("ANNEX_DOMAIN", "") or knobs.required("TRUST_DOMAIN"),
        trust_domain=knobs.required("TRUST_DOMAIN"),
        collector=knobs.required("ANNEX_COLLECTOR_HOST"),
        socket=socket_path(configuration),
        journal=journal,
        lock=journal.parent / "annexd.lock",
        interval=knobs.duration("ANNEXD_INTERVAL", "60"),
        credentials=credentials_path(configuration),
        key_files=knobs.key_files("ANNEX_KEY_FILES"),
        administrators=knobs.words("ANNEX_ADMINISTRATORS") | {"root", "condor"},
        version=htcondor_version(configuration),
        default_route=knobs.text("ANNEX_DEFAULT_ROUTE", ""),
        learn_run_times=knobs.boolean("ANNEXD_LEARN_RUN_TIMES", "True"),
        log=LogSettings(
            file=knobs.path("ANNEXD_LOG", knobs.under("LOG", "AnnexdLog")),
            max_bytes=knobs.size("MAX_ANNEXD_LOG", "10 Mb"),
            keep=knobs.count("MAX_NUM_ANNEXD_LOG", "1"),
            full=bool(knobs.words("ANNEXD_DEBUG") & {"D_FULLDEBUG", "D_ALL"}),
        ),
        audit=LogSettings(
            file=knobs.path("ANNEX_AUDIT_LOG", knobs.under("LOG", "AnnexAuditLog")),
            max_bytes=knobs.size("MAX_ANNEX_AUDIT_LOG", "10 Mb"),
            keep=knobs.count("MAX_NUM_ANNEX_AUDIT_LOG", "2"),
        ),
    )


def htcondor_version(configuration: Mapping[str, str] = htcondor2.param) -> str | None:
    """
    Of the HTCondor that is installed here, such as 23.9.6; None where its condor_version can't be asked.

    The bindings that this package brings have a version of their own.
    """
    program = Path(_Knobs(configuration).text("BIN", "/usr/bin"), "condor_version")
    try:
        said = subprocess.run([program], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\$CondorVersion: (\d+\.\d+\.\d+)\b", said)
    return found[1] if found else None


def socket_path(configuration: Mapping[str, str] = htcondor2.param) -> Path:
    """
    ANNEXD_SOCKET, all that one who asks the daemon needs.

    Raises:
        Refused: It is no absolute path.
    """
    knobs = _Knobs(configuration)
    return knobs.path("ANNEXD_SOCKET", knobs.under("RUN", "annexd.sock"))


def credentials_path(configuration: Mapping[str, str] = htcondor2.param) -> Path | None:
    """
    ANNEXD_CREDENTIALS, all that one who asks AWS needs.

    Raises:
        Refused: It is no absolute path.
    """
    knobs = _Knobs(configuration)
    return knobs.path("ANNEXD_CREDENTIALS", None) if knobs.text("ANNEXD_CREDENTIALS", "") else None


def pool_name(configuration: Mapping[str, str] = htcondor2.param) -> str:
    """ANNEX_POOL, else the access point's name; empty where HTCondor has no configuration."""
    knobs = _Knobs(configuration)
    return knobs.text("ANNEX_POOL", knobs.text("SCHEDD_NAME", knobs.text("FULL_HOSTNAME", "")))


class _Knobs:
    def __init__(self, configuration: Mapping[str, str]) -> None:
        self._configuration = configuration

    def text(self, name: str, default: str) -> str:
        """An empty knob is one that is not set, as everywhere in HTCondor."""
        return str(self._configuration.get(name) or "").strip() or default

    def required(self, name: str) -> str:
        found = self.text(name, "")
        if not found:
            raise Refused(f"{name} is not set in HTCondor's configuration")
        return found

    def words(self, name: str) -> frozenset[str]:
        return frozenset(word for word in re.split(r"[,\s]+", self.text(name, "")) if word)

    def under(self, directory: str, name: str) -> str | None:
        found = self.text(directory, "")
        return f"{found}/{name}" if found else None

    def path(self, name: str, default: str | None) -> Path:
        found = Path(self.text(name, default or ""))
        if not found.is_absolute():
            raise Refused(f"{name} = {self.text(name, '')}: it takes an absolute path")
        return found

    def key_files(self, name: str) -> tuple[str, str]:
        text = self.text(name, KNOBS[name] or "")
        match text.replace(",", " ").split():
            case [access, secret] if all(each.startswith(("~/", "/")) for each in (access, secret)):
                return access, secret
        raise Refused(f"{name} = {text}: it takes two paths, each absolute or in ~/")

    def duration(self, name: str, default: str) -> timedelta:
        text = self.text(name, default)
        seconds = duration.seconds(text) or 0
        if not 1 <= seconds <= duration.DAY:
            raise Refused(f"{name} = {text}: it takes seconds, or a number with s, m, h or d, from 1s to 1d")
        return timedelta(seconds=seconds)

    def size(self, name: str, default: str) -> int:
        text = self.text(name, default)
        found = _SIZE.fullmatch(text)
        if not found:
            raise Refused(f"{name} = {text}: it takes bytes, or a number with Kb, Mb or Gb")
        return int(found.group(1)) * _UNITS[(found.group(2) or "").lower()]

    def boolean(self, name: str, default: str) -> bool:
        text = self.text(name, default)
        if text.lower() not in {"true", "false"}:
            raise Refused(f"{name} = {text}: it takes True or False")
        return text.lower() == "true"

    def count(self, name: str, default: str) -> int:
        text = self.text(name, default)
        if not re.fullmatch(r"\d{1,6}", text):
            raise Refused(f"{name} = {text}: it takes a whole number")
        return int(text)
