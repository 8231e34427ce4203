"""config.d as HTCondor reads it, every macro expanded."""

import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

CONFIG = Path(__file__).parents[1] / "config.d"
DOMAIN = "pool.example"
_READ = "import htcondor2, json, sys; print(json.dumps(htcondor2.param.get(sys.argv[1])))"


@cache
def value(knob: str, *snippets: str, more: str = "") -> str:
    """
    Of a knob, in a process of its own: the bindings read their configuration once.

    Args:
        more: What an administrator adds.
    """
    lines = [f"TRUST_DOMAIN = {DOMAIN}", *(f"include : {CONFIG / each}" for each in snippets), more]
    with tempfile.NamedTemporaryFile("w", suffix=".config") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        environment = {**os.environ, "CONDOR_CONFIG": file.name}
        read = subprocess.run(
            [sys.executable, "-c", _READ, knob], env=environment, capture_output=True, text=True, check=True
        )
    found = json.loads(read.stdout)
    assert isinstance(found, str), f"{knob} is not set"
    return found


def transform(name: str, *snippets: str) -> list[str]:
    """Its lines."""
    return [line.strip() for line in value(name, *snippets).splitlines()]


def said(lines: list[str], words: str) -> list[str]:
    """What stands behind these words, such as SET Requirements, in each line that begins with them."""
    return [line.removeprefix(f"{words} ") for line in lines if line.startswith(f"{words} ")]
