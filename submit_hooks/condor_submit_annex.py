"""
condor_submit with annex options: condor_submit_annex -annex NAME [-annex-... VALUE] ANYTHING CONDOR_SUBMIT TAKES.

condor_submit has no plug-in for options, so each of ours becomes a submit command in an -append of its own, which
wins over the submit file's lines; then condor_submit takes this process over. What a value may be is for the schedd
to say; here it is only kept from becoming anything but the value of its command, and slips are told of for which
condor_submit would print its usage or wait for a submit file to be typed.
"""

import os
import re
import sys
from collections.abc import Sequence

PROGRAM = "condor_submit_annex"

OPTIONS = {
    "annex": ("annex_name", "NAME", "run the jobs on your annex NAME: 1 to 37 letters, digits and dashes"),
    "annex-project": ("annex_project", "NAME", "what it is paid by (default: ProjectName, accounting group, else you)"),
    "annex-lifetime": ("annex_lifetime", "TIME", "when the annex ends, such as 8h"),
    "annex-idle": ("annex_idle", "TIME", "an instance without work leaves after so long, such as 5m"),
    "annex-max-instances": ("annex_max_instances", "NUMBER", "at most so many instances at a time"),
    "annex-max-hourly-cost": ("annex_max_hourly_cost", "USD", "at most so many US dollars an hour"),
    "annex-budget": ("annex_budget", "USD", "at most so many US dollars in all"),
    "annex-instance-types": ("annex_instance_types", "LIST", "EC2 types to ask for and no others: c7i.large,m7i.large"),
    "annex-after": ("annex_after", "TIME", "let them run at home too; the cloud counts them after so long"),
}
"""Option, without its dash: submit command, what its value is, help."""

DRY_RUN = "annex-dry-run"

FLAGS = {
    "annex-on-demand": ("annex_on_demand", "no Spot instances; the route has to buy on-demand ones"),
    "annex-never": ("annex_never", "these jobs must never go to a cloud"),
}
"""Options without a value: the command becomes True."""


_NUMBER = re.compile(r"[-+]?\.?[0-9]")


class BadOptionError(Exception):
    """An annex option can't be taken as it was written; str() is one sentence for the user."""


def translate(arguments: Sequence[str]) -> list[str]:
    """
    Turn annex options into -append options and leave everything else as it is.

    Args:
        arguments: Without the program's name.

    Returns:
        The arguments of condor_submit.

    Raises:
        BadOptionError: An annex option is unknown, given twice, without value, or with one that can't be meant or
            that a submit file would not take as plain text.
    """
    appended: dict[str, str] = {}
    kept: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        name = _name(argument)
        if not name.lower().startswith("annex"):
            kept.append(argument)
            continue
        if name == DRY_RUN:
            continue
        if name in FLAGS:
            command, value = FLAGS[name][0], "True"
        elif name in OPTIONS:
            command, value = OPTIONS[name][0], _value(name, rest)
        else:
            raise BadOptionError(f"there is no option {argument}; {_meant(name)}")
        if command in appended:
            raise BadOptionError(f"-{name} is given twice")
        appended[command] = value
    return [word for command, value in appended.items() for word in ("-append", f"{command} = {value}")] + kept


def _name(argument: str) -> str:
    """An option without its one or two dashes; empty for what is no option."""
    return argument.removeprefix("-").removeprefix("-") if argument.startswith("-") else ""


def _meant(name: str) -> str:
    """What to write in place of an option that there isn't."""
    plain = name.partition("=")[0].lower().replace("_", "-")
    if plain in OPTIONS:
        return f"write -{plain} {OPTIONS[plain][1]}"
    return f"write -{plain}" if plain in {*FLAGS, DRY_RUN} else "-annex-help lists them"


def _value(name: str, rest: list[str]) -> str:
    needed = f"-{name} needs a value: -{name} {OPTIONS[name][1]}"
    if not rest:
        raise BadOptionError(needed)
    value = rest.pop(0).strip(" ")
    if value.startswith("-") and not _NUMBER.match(value):
        raise BadOptionError(f"{needed}; {value} is another option")
    if not value:
        raise BadOptionError(f"{needed}; this one is empty")
    # A line break would start another command, a backslash join the next line, $( be expanded; quotes would vanish.
    if not value.isprintable() or any(character in '"\\$' for character in value):
        raise BadOptionError(f'the value of -{name} holds a line break or a character out of "\\$: {value[:60]!r}')
    if name == "annex" and ("." in value or "/" in value):
        raise BadOptionError(f"no annex can be called {value}; if that is the submit file: -annex NAME {value}")
    kind = OPTIONS[name][1]
    if kind in {"TIME", "NUMBER", "USD"} and not _NUMBER.match(value):
        raise BadOptionError(f"-{name} takes a number, not {value}; if that is the submit file: -{name} {kind} {value}")
    return value


def help_text() -> str:
    rows = [(f"-{name} {kind}", text) for name, (_, kind, text) in OPTIONS.items()]
    rows += [(f"-{name}", text) for name, (_, text) in FLAGS.items()]
    rows += [(f"-{DRY_RUN}", "submit nothing: what would be launched, at what price, and when they would be done")]
    rows += [("-annex-help", "print this")]
    width = max(len(option) for option, _ in rows) + 2
    lines = [f"  {option:{width}}{text}" for option, text in rows]
    usage = "Usage: condor_submit -annex NAME [annex options] [anything else condor_submit takes]"
    return "\n".join([usage, "", *lines, "", "Times are seconds, or a whole number with s, m, h or d."])


def _planner() -> list[str]:
    """The condor_annex beside this program: the withdrawn tool of that name may come first on the PATH."""
    beside = os.path.realpath(sys.argv[0]).rpartition("/")[0] + "/condor_annex"
    return [beside if os.access(beside, os.X_OK) else "condor_annex", "plan"]


def main() -> int:
    arguments = sys.argv[1:]
    names = {_name(argument) for argument in arguments}
    if "annex-help" in names:
        print(help_text())
        return 0
    if not arguments and os.isatty(0):
        print(help_text(), file=sys.stderr)
        return 2
    if names & {"h", "help"}:
        print(help_text(), flush=True)  # and then condor_submit's own
    program = PROGRAM
    try:
        translated = translate(arguments)
        program, *words = _planner() if DRY_RUN in names else ["condor_submit"]
        os.execvp(program, [program, *words, *translated])  # noqa: S606 - no shell is the point
    except BadOptionError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{PROGRAM}: can't run {program}: {error}", file=sys.stderr)
        return 127


if __name__ == "__main__":
    sys.exit(main())
