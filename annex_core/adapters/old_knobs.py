"""The withdrawn tool's knobs in HTCondor's configuration, user_config included: those that somebody set."""

import re
import subprocess
from collections.abc import Iterator, Mapping

import htcondor2

from annex_core.errors import Unavailable
from annex_core.legacy.knobs import Knob, Knobs

_HEAD = re.compile(r"([\w./]+) = (.*)")
_OLD = re.compile(r"[\w./]*ANNEX_DEFAULT_\w+", re.IGNORECASE)
_TEXT = re.compile(r"([\w./]+) @=(\w+).*")
DEFAULT = "<Default>"
"""Where a knob stands that HTCondor has compiled in."""
_PLACE = re.compile(r" # at: (.*?)(?:, line (\d+))?(?:, use .*)?")
_EXPANDED = re.compile(r" # expanded: (.*)")
_DEADLINE_S = 30


def old_knobs() -> Knobs:
    """
    Asks condor_config_val, for the bindings don't tell what is set from what HTCondor has compiled in.

    Raises:
        Unavailable: It did not answer.
    """
    return Knobs({knob.name.lower(): knob for knob in set_in(dumped("ANNEX_DEFAULT_"))})


def dumped(pattern: str) -> str:
    """
    What condor_config_val says of the knobs whose names match.

    Raises:
        Unavailable: It did not answer.
    """
    try:
        # An error of the configuration is told by whoever reads it in earnest.
        done = subprocess.run(
            ["condor_config_val", "-v", "-dump", pattern],
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
            check=False,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"condor_config_val does not answer: {error}") from error
    return done.stdout


def central_managers(configuration: Mapping[str, str] = htcondor2.param) -> frozenset[str]:
    """Hosts that this pool's own central manager, or this machine, goes by, in lower case and without a port."""
    said = " ".join(str(configuration.get(name) or "") for name in ("COLLECTOR_HOST", "CONDOR_HOST", "FULL_HOSTNAME"))
    return frozenset(word.partition(":")[0].lower() for word in re.split(r"[,\s]+", said) if word)


def set_in(answer: str) -> Iterator[Knob]:
    """
    The withdrawn tool's knobs that somebody set.

    Args:
        answer: As of knobs_in.
    """
    return (each for each in knobs_in(answer) if each.place != DEFAULT and _OLD.fullmatch(each.name))


def knobs_in(answer: str) -> Iterator[Knob]:
    """
    Args:
        answer: What `condor_config_val -v -dump` prints: NAME = VALUE, then comments that say where and what; of a text
            of several lines each on its own.
    """
    name, place, value, text_ends = "", "", "", ""
    for line in [*answer.splitlines(), "END = "]:
        if text_ends:
            if line.strip() == f"@{text_ends}":
                text_ends = ""
            else:
                value += f"{line}\n"
        elif (head := _HEAD.fullmatch(line)) or (text := _TEXT.fullmatch(line)):
            if name and place:
                yield Knob(name, value.strip(), place)
            name, value, place = "", "", ""
            if head:
                name, value = head.groups()
            elif text:
                name, text_ends = text.groups()
        elif at := _PLACE.fullmatch(line):
            place = f"{at[1]}:{at[2]}" if at[2] else at[1]
        elif expanded := _EXPANDED.fullmatch(line):
            value = expanded[1]
