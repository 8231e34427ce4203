"""The keys of whoever runs a command, read as that user and handed to condor_annexd when it asks for them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from annex_core.adapters.key_files import read_key_files
from annex_core.errors import Refused


def hand_over(ask: Callable[[Any], Any], files: tuple[str, str]) -> None:
    """
    Args:
        ask: Sends a `keys` request by schemas/request.json, and returns its answer.
        files: Where the pool's users keep them; the user's own ANNEX_DEFAULT_ACCESS_KEY_FILE and
            ANNEX_DEFAULT_SECRET_KEY_FILE go before.

    Raises:
        AnnexError: The daemon did not take them, or did not answer.
    """
    access, secret = (Path(each).expanduser() for each in _own_files() or files)
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


def _own_files() -> tuple[str, str] | None:
    from annex_core.adapters.old_knobs import old_knobs  # it asks condor_config_val

    knobs = old_knobs()
    access, secret = (knobs.get(f"ANNEX_DEFAULT_{which}_KEY_FILE", None) for which in ("ACCESS", "SECRET"))
    return (access.value, secret.value) if access and secret else None
