"""The withdrawn tool's knobs in HTCondor's configuration, user_config included: those that somebody set."""

import re
import subprocess
from collections.abc import Iterator, Mapping

import htcondor2

from annex_core.errors import Unavailable
from annex_core.legacy.knobs import Knob, Knobs

_HEAD = re.compile(r"([\w./]*ANNEX_DEFAULT_\w+) = (.*)", re.IGNORECASE)
_PLACE = re.compile(r" # at: (.*?)(?:, line (\d+))?(?:, use .*)?")
_EXPANDED = re.compile(r" # expanded: (.*)")
_DEADLINE_S = 30


def old_knobs() -> Knobs:
    """
    Asks condor_config_val, for the bindings don't tell what is set from what HTCondor has compiled in.

    Raises:
        Unavailable: It did not answer.
    """
    try:
        # An error of the configuration is told by whoever reads it in earnest.
        done = subprocess.run(
            ["condor_config_val", "-v", "-dump", "ANNEX_DEFAULT_"],
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
            check=False,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"condor_config_val does not answer: {error}") from error
    return Knobs({knob.name.lower(): knob for knob in set_in(done.stdout)})


def central_managers(configuration: Mapping[str, str] = htcondor2.param) -> frozenset[str]:
    """Hosts that this pool's own central manager, or this machine, goes by, in lower case and without a port."""
    said = " ".join(str(configuration.get(name) or "") for name in ("COLLECTOR_HOST", "CONDOR_HOST", "FULL_HOSTNAME"))
    return frozenset(word.partition(":")[0].lower() for word in re.split(r"[,\s]+", said) if word)


def set_in(answer: str) -> Iterator[Knob]:
    """
    Args:
        answer: What `condor_config_val -v -dump` prints: NAME = VALUE, then comments that say where and what.
    """
    name, place, value = "", "", ""
    for line in [*answer.splitlines(), "NAME_ANNEX_DEFAULT_END = "]:
        if head := _HEAD.fullmatch(line):
            if name and place and place != "<Default>":
                yield Knob(name, value.strip(), place)
            (name, value), place = head.groups(), ""
        elif at := _PLACE.fullmatch(line):
            place = f"{at[1]}:{at[2]}" if at[2] else at[1]
        elif expanded := _EXPANDED.fullmatch(line):
            value = expanded[1]
