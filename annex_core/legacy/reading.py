"""Take an old tool's command line apart, abbreviations and all, as that tool did; but ignore nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from annex_core.errors import BadRequest
from annex_core.legacy.options import ANNEX, DAEMON, PERL, Option, Tool

COMMANDS = ("status", "off")
"""Words, not options, that end the command line of `annex`: what follows is another program's."""


@dataclass(frozen=True)
class Reading:
    """What a command line says, before anybody knows what it means."""

    perl: bool
    said: Mapping[str, tuple[tuple[str, ...], ...]]
    """The values of each option by its full name, as often as it was given."""
    options: Mapping[str, Option]
    """The options given, by the same names."""
    bare: tuple[str, ...] = ()
    """Words that belong to no option."""
    command: str | None = None
    """One of COMMANDS."""
    rest: tuple[str, ...] = field(default=())
    """What stands behind it."""

    def has(self, *names: str) -> bool:
        return any(name in self.said for name in names)

    def value(self, *names: str) -> str | None:
        """The first value of the first of these options that is given."""
        return next((self.said[name][0][0] for name in names if name in self.said), None)


def is_old(arguments: Sequence[str]) -> bool:
    """Whether it is an old tool's command line and no verb's: it begins with a dash, or asks for a fleet file."""
    return bool(arguments) and (arguments[0].startswith("-") or arguments[0].endswith(".json"))


def read(arguments: Sequence[str]) -> Reading:
    """
    Raises:
        BadRequest: There is no such option, one has no value, or is given twice.
    """
    perl = any(_perl(word) for word in arguments)
    said: dict[str, list[tuple[str, ...]]] = {}
    options: dict[str, Option] = {}
    bare: list[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        if not perl and word in COMMANDS:
            return Reading(perl, _frozen(said), options, tuple(bare), word, tuple(words))
        if not word.startswith("-") or word == "-":
            bare.append(word)
            continue
        option, values = _perl_option(word, words) if perl else _option(word, words)
        if option.name in said and option.takes and not option.many:
            raise BadRequest(f"{option} is given twice")
        said.setdefault(option.name, []).append(values)
        options[option.name] = option
        if option.tool is Tool.ANNEX and option.name == "setup":
            said["setup"] = [_behind_setup(words)]
    return Reading(perl, _frozen(said), options, tuple(bare))


def _perl(word: str) -> bool:
    """Whether only the script that went by project ids takes this word."""
    if not word.startswith("--"):
        return False
    name = word[2:].partition("=")[0]
    if any(option.name == name for option in (*ANNEX, *DAEMON)):
        return False
    return any(option.name.startswith(name) and len(name) >= option.shortest for option in PERL)


def _option(word: str, words: list[str]) -> tuple[Option, tuple[str, ...]]:
    option = option_of(word)
    if option is None:
        raise BadRequest(f"there is no option {word}; condor_annex -help lists what there is")
    values = tuple(words[: len(option.takes)])
    if len(values) < len(option.takes) or any(_forgotten(option, value) for value in values):
        raise BadRequest(f"{option} takes {' and '.join(option.takes)}")
    del words[: len(option.takes)]
    return option, values


def option_of(word: str) -> Option | None:
    """The option of `annex` or `daemon` that a word with its dashes is, whole or shortened."""
    exact = word.startswith("--")
    name = word.lstrip("-") if exact else word[1:]
    for option in (*ANNEX, *DAEMON):
        if option.name == name or (not exact and option.name.startswith(name) and len(name) >= option.shortest):
            return option
    return None


_FREE = {"DATA", "KEY"}
"""Values of these may look like an option."""


def _forgotten(option: Option, value: str) -> bool:
    """Whether the next option stands where a value should."""
    if _FREE & set(option.takes):
        return False
    return not value or any(value == f"-{each.name}" for each in (*ANNEX, *DAEMON))


def _perl_option(word: str, words: list[str]) -> tuple[Option, tuple[str, ...]]:
    name, equals, value = word.lstrip("-").partition("=")
    if name == "yes" and not equals:
        # The script asked nothing; we do, and this is how not to be asked.
        return _YES, ()
    found = [option for option in PERL if option.name == name] or [
        option for option in PERL if option.name.startswith(name) and len(name) >= option.shortest
    ]
    if len(found) != 1:
        raise BadRequest(f"there is no option {word.partition('=')[0]}; condor_annex -help lists what there is")
    option = found[0]
    if not option.takes:
        if equals:
            raise BadRequest(f"{option} takes no value")
        return option, ()
    if not equals:
        if not words or words[0].startswith("--"):
            raise BadRequest(f"{option} takes {option.takes[0]}")
        value = words.pop(0)
    if not value:
        raise BadRequest(f"{option} takes {option.takes[0]}")
    return option, (value,)


_YES = next(option for option in ANNEX if option.name == "yes")


def _behind_setup(words: list[str]) -> tuple[str, ...]:
    """Up to three words: FROM INSTANCE or two key files, and a CloudFormation URL."""
    taken: list[str] = []
    while words and len(taken) < 3 and not words[0].startswith("-"):
        taken.append(words.pop(0))
    return tuple(taken)


def _frozen(said: dict[str, list[tuple[str, ...]]]) -> Mapping[str, tuple[tuple[str, ...], ...]]:
    return {name: tuple(values) for name, values in said.items()}
