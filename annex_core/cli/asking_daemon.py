"""What the verbs that ask condor_annexd have in common."""

import json
import os
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from annex_core.adapters import wire
from annex_core.errors import Refused, Unavailable

_DEADLINE_S = 10.0
_FIRST_LOOK_S = 30.0
"""A daemon that has just started looks around for a second or two; longer where AWS or the pool is slow."""
_PAUSE_S = 0.2


def ask(verb: str, body: Mapping[str, Any]) -> Any:
    """
    The answer to one request, by schemas/request.json or schemas/status.json; a daemon that has just started is waited
    for, and keys that it wants first, it gets.

    Raises:
        AnnexError: The daemon refused, or there was no answer that makes sense.
    """
    try:
        return _ask(verb, body)
    except wire.KeysWanted as wanted:
        from annex_core.cli import handing_over  # few are asked

        handing_over.hand_over(partial(_ask, "keys"), wanted.files, region=body.get("region"))
        return _ask(verb, body)


def hand_over(files: tuple[str, str]) -> None:
    """
    The keys in the files that a command line names.

    Raises:
        AnnexError: They can't be read, others can read them, or the daemon did not take them.
    """
    from annex_core.cli import handing_over

    handing_over.hand_these_over(partial(_ask, "keys"), files)


def _ask(verb: str, body: Mapping[str, Any]) -> Any:
    path, request = socket_path(), json.dumps(body).encode()
    until = time.monotonic() + _FIRST_LOOK_S
    while True:
        try:
            answer = wire.ask(path, verb, request, deadline_s=_DEADLINE_S)
            break
        except Refused as error:
            if not str(error).endswith(wire.AGAIN) or time.monotonic() > until:
                raise
        except Unavailable as error:
            raise Unavailable(f"{error}; {_cure(error.__cause__)}") from error
        time.sleep(_PAUSE_S)
    try:
        return json.loads(answer)
    except ValueError as error:
        raise Unavailable(f"condor_annexd's answer is no JSON: {error}") from error


def _cure(cause: BaseException | None) -> str:
    """What an administrator runs, in words for whoever isn't one, too."""
    log = _knob("ANNEXD_LOG") or "the file that condor_config_val ANNEXD_LOG names"
    if isinstance(cause, FileNotFoundError | ConnectionRefusedError):
        return f"it does not run here: as root, condor_on -daemon ANNEXD starts it, and {log} says why it ended"
    if isinstance(cause, PermissionError):
        return "this user may not open its socket: its folder has to be one that all may enter"
    return f"{log} says what it does; as root, condor_off -daemon ANNEXD and then condor_on -daemon ANNEXD begin anew"


def socket_path() -> Path:
    """ANNEXD_SOCKET of the environment, as for the hooks, else of HTCondor's configuration."""
    named = os.environ.get("ANNEXD_SOCKET")
    if named:
        return Path(named)
    if found := _knob("ANNEXD_SOCKET"):
        return Path(found)
    from annex_core.adapters import settings

    return settings.socket_path()


def _knob(name: str) -> str | None:
    """A path of HTCondor's configuration. Its program answers in 12 ms; its Python bindings take 70 to load."""
    with suppress(OSError):
        asked = subprocess.run(["condor_config_val", name], capture_output=True, text=True, check=False)
        if asked.returncode == 0 and asked.stdout.startswith("/"):
            return asked.stdout.strip()
    return None
