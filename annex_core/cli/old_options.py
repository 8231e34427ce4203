"""The command lines of the tools that came before: read, told what is different now, and done by our own verbs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from annex_core.adapters.old_knobs import central_managers, old_knobs
from annex_core.adapters.user_files import UserFiles
from annex_core.cli.asking_daemon import hand_over
from annex_core.errors import AnnexError, BadRequest
from annex_core.legacy import annex, perl
from annex_core.legacy.asked import Asked
from annex_core.legacy.knobs import Knobs
from annex_core.legacy.reading import Reading, option_of, read

_NO_KNOBS = ("help", "status")
_OUR_VERBS_TOO = ("help", "yes")
_OFF = {"-peaceful": (), "-graceful": (), "-fast": ("-now",)}
"""condor_off's ways to stop, which stood behind `off`, in the words of our own verb."""


def run(arguments: Sequence[str]) -> int:
    """2 when the command line makes no sense, or a file that it names; else what the verb says."""
    return _told(lambda: _run(read(arguments)))


def account(verb: str, rest: Sequence[str]) -> int:
    """
    -setup and -check-setup: with an option that only the withdrawn tool had, its command line; else our own verb's,
    which takes the rest of that tool's words, too. Its knobs hold for both.
    """
    options = (option_of(word) for word in rest if word.startswith("-"))
    if any(option and option.name not in _OUR_VERBS_TOO for option in options):
        return run([verb, *rest])
    from annex_core.cli import check_setup, setup

    verbs = {"-setup": setup.run, "-check-setup": check_setup.run}
    return _told(lambda: verbs[verb](rest, old_knobs))


def _told(carry_out: Callable[[], int]) -> int:
    try:
        return carry_out()
    except BadRequest as error:
        print(f"condor_annex: {error}", file=sys.stderr)
        return 2
    except AnnexError as error:
        print(f"condor_annex: {error}", file=sys.stderr)
        return 1


def _run(reading: Reading) -> int:
    knobs = Knobs() if reading.perl or reading.command or reading.has(*_NO_KNOBS) else old_knobs()
    asked = _asked(reading, knobs)
    for note in asked.notes:
        print(f"note: {note}", file=sys.stderr)
    if asked.debug:
        print(json.dumps({asked.verb: asked.body}, indent=2, sort_keys=True), file=sys.stderr)
    return _carry_out(asked, knobs)


def _asked(reading: Reading, knobs: Knobs) -> Asked:
    if reading.perl:
        zone = datetime.now().astimezone().tzinfo
        assert zone  # noqa: S101 - astimezone() always gives one
        return perl.asked(reading, UserFiles(), zone=zone, central_managers=central_managers())
    return annex.asked(reading, knobs, UserFiles())


def _carry_out(asked: Asked, knobs: Knobs) -> int:
    from annex_core.cli import check_setup, create, setup, status, steering

    name: str = asked.body.get("name", "")
    if asked.keys:
        hand_over(asked.keys)
    match asked.verb:
        case "create":
            return create.place(asked.body, yes=asked.yes, wait=True)
        case "extend":
            return steering.extend([name, *_until(asked.body)])
        case "end":
            return steering.end([name, *(["-now"] if asked.body.get("now") else [])])
        case "off":
            return steering.end([name, *_how(asked.words)], "off")
        case "status":
            return status.run([name] if name else [])
        case "classads":
            return _classads(name)
        case "condor_status":
            return _condor_status(name, asked.words)
        case "setup":
            return setup.run([*_account(asked.body), *(["-yes"] if asked.yes else [])], lambda: knobs)
        case "check-setup":
            return check_setup.run(_account(asked.body), lambda: knobs)
        case _:
            from annex_core.cli.main import HELP

            print(HELP, end="")
            return 0


def _until(body: Mapping[str, Any]) -> list[str]:
    return ["-until", body["lease_ends"]] if "lease_ends" in body else ["-duration", f"{body['lifetime_s']}s"]


def _how(words: Sequence[str]) -> list[str]:
    """
    Raises:
        BadRequest: It is an option of condor_off's that means nothing for machines at AWS.
    """
    for word in words:
        if word not in _OFF:
            raise BadRequest(f"off {word}: behind off stand {', '.join(_OFF)} alone")
    if len(words) > 1:
        raise BadRequest(f"off {' '.join(words)}: say one of them")
    return list(_OFF[words[0]]) if words else []


def _account(body: Mapping[str, Any]) -> list[str]:
    words = ["FROM", "INSTANCE"] if body.get("from_instance") else [*body.get("keys", ())]
    return [*words, *(["-regions", body["region"]] if "region" in body else [])]


def _classads(name: str) -> int:
    """An ad for each annex, as condor_status -long prints one, with an empty line between them."""
    import classad2

    from annex_core.cli.asking_daemon import ask
    from annex_core.legacy.ads import ad

    known = [each for each in ask("status", {})["annexes"] if name in {"", each["name"]}]
    if name and not known:
        print(f"condor_annex: No annex {name} has jobs or machines.", file=sys.stderr)
        return 1
    print("\n".join(classad2.ClassAd(ad(each)).printOld() for each in known), end="")
    return 0


def _condor_status(name: str, words: Sequence[str]) -> int:
    """The slots of one annex, or of all, as condor_status shows them; its options are its own affair."""
    import htcondor2

    collector = htcondor2.param.get("ANNEX_COLLECTOR_HOST", "")
    which = f'AnnexName =?= "{name}"' if name else "IsAnnex =?= true"
    pool = ["-pool", str(collector)] if collector else []
    try:
        return subprocess.run(
            ["condor_status", *pool, "-constraint", which, *words], check=False, env=os.environ
        ).returncode
    except OSError as error:
        print(f"condor_annex: condor_status can't be run: {error.strerror}", file=sys.stderr)
        return 1
