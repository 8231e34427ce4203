"""What became of a machine that never joined, as far as it is kept: why it ended, and what it printed."""

import re
from dataclasses import dataclass
from datetime import datetime

BOOT_LOG_KEPT = 8_000
CONSOLE_KEPT = 16_000
"""Characters, the last ones: EC2 keeps 64 KB of a console, and a kernel's first words tell nothing."""

_BOOT_LINE = re.compile(r"\bannex: ")
"""How boot.sh marks its own lines."""

_SECRETS = (
    (re.compile(r"(https?://[^\s\"'?]+)\?[^\s\"']*X-Amz-[^\s\"']*"), r"\1?[signature left out]"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*)?"), "[token left out]"),
    (re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"), "[key left out]"),
    (re.compile(r"(?i)((secret_?access_?key|session_?token|password|passwd)[\"']?\s*[=:]\s*)\S+"), r"\1[left out]"),
)
_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|.)")
_UNPRINTABLE = re.compile(r"[^\n\t\x20-\x7e\xa0-\U0010ffff]")


@dataclass(frozen=True)
class Death:
    instance: str
    annex: str
    """The annex id."""
    at: datetime
    reason: str
    """Why it ended: AWS's state reason, or ours."""
    boot_log: str = ""
    """What our boot script said."""
    console: str = ""
    """The end of all that the machine printed."""


def printed(console: str) -> tuple[str, str]:
    """
    Boot log and console as they may be kept and shown: no secrets, nothing that a terminal obeys, and not too much.

    Args:
        console: As the machine printed it, which is to say anything at all.
    """
    text = _ESCAPES.sub("", console.replace("\r\n", "\n").replace("\r", "\n"))
    text = _UNPRINTABLE.sub("", text)
    for secret, instead in _SECRETS:
        text = secret.sub(instead, text)
    boot_log = "\n".join(line for line in text.splitlines() if _BOOT_LINE.search(line))
    return _end(boot_log, BOOT_LOG_KEPT), _end(text.strip("\n"), CONSOLE_KEPT)


def _end(text: str, most: int) -> str:
    """At most so many characters, whole lines where there are any."""
    if len(text) <= most:
        return text
    cut = text[-most:]
    return cut.partition("\n")[2] or cut
