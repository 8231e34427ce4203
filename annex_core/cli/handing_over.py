"""The keys of whoever runs a command, read as that user and handed to condor_annexd when it asks for them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from annex_core.adapters.key_files import read_key_files
from annex_core.errors import Refused


def hand_over(ask: Callable[[Any], Any], files: tuple[str, str], *, region: str | None) -> None:
    """
    Args:
        ask: Sends a `keys` request by schemas/request.json, and returns its answer.
        files: Where the pool's users keep them; the user's own ANNEX_DEFAULT_ACCESS_KEY_FILE and
            ANNEX_DEFAULT_SECRET_KEY_FILE go before.
        region: The one that the command asks for; None: the one of the user's knobs, if they name one.

    Raises:
        AnnexError: The daemon did not take them, or did not answer; or what the user's knobs say makes no sense.
    """
    access, secret = (Path(each).expanduser() for each in _own_files(region) or files)
    try:
        keys = read_key_files(access, secret)
    except Refused as error:
        ask({"missing": str(error)[:500]})  # its own answer says so then
        return
    ask({"access": keys.access, "secret": keys.secret})


def hand_these_over(ask: Callable[[Any], Any], files: tuple[str, str]) -> None:
    """
    Those of the command line.

    Raises:
        AnnexError: They can't be read, others can read them, or the daemon did not take them.
    """
    keys = read_key_files(*map(Path, files))
    ask({"access": keys.access, "secret": keys.secret})


def _own_files(region: str | None) -> tuple[str, str] | None:
    from annex_core.adapters.old_knobs import old_knobs  # it asks condor_config_val

    knobs = old_knobs()
    return knobs.key_files(region or knobs.region())
