"""What the verbs that ask condor_annexd have in common."""

import json
import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from annex_core.adapters import wire
from annex_core.errors import Unavailable

_DEADLINE_S = 10.0


def ask(verb: str, body: Mapping[str, Any]) -> Any:
    """
    The answer to one request, by schemas/request.json or schemas/status.json.

    Raises:
        AnnexError: The daemon refused, or there was no answer that makes sense.
    """
    answer = wire.ask(socket_path(), verb, json.dumps(body).encode(), deadline_s=_DEADLINE_S)
    try:
        return json.loads(answer)
    except ValueError as error:
        raise Unavailable(f"condor_annexd's answer is no JSON: {error}") from error


def socket_path() -> Path:
    """ANNEXD_SOCKET of the environment, as for the hooks, else of HTCondor's configuration."""
    named = os.environ.get("ANNEXD_SOCKET")
    if named:
        return Path(named)
    # HTCondor's program answers in 12 ms; its Python bindings take 70 to load.
    with suppress(OSError):
        asked = subprocess.run(["condor_config_val", "ANNEXD_SOCKET"], capture_output=True, text=True, check=False)
        if asked.returncode == 0 and asked.stdout.startswith("/"):
            return Path(asked.stdout.strip())
    from annex_core.adapters import settings

    return settings.socket_path()
