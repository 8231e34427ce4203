"""A duration as people write it in a configuration: seconds, or a whole number with s, m, h or d."""

import re

DAY = 86400

_WRITTEN = re.compile(r"(\d{1,12})\s*([smhd]?)", re.IGNORECASE)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": DAY}


def seconds(text: str) -> int | None:
    """None where *text* is no duration."""
    found = _WRITTEN.fullmatch(text)
    return int(found[1]) * _SECONDS[found[2].lower()] if found else None
