"""
IAM's evaluation of one policy, by @cloud-copilot/iam-simulate: an offline simulator that knows, from AWS's Service
Authorization Reference, which resources and which condition keys each action takes. A condition on a key that an
action doesn't have fails there as it does at AWS.

moto can't stand in here: its evaluator takes a statement whose condition fails for a denial, knows StringEquals alone,
and asks for the conditions of role trust only.

The simulator is AGPL's, used by tests alone: npm installs it into a cache, and nothing of it comes with the package.
`python -m tests.iam` installs it ahead of tests that have no network.
"""

import atexit
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

Context = Mapping[str, str | list[str]]

ACCOUNT = "123456789012"
_SOURCES = Path(__file__).parent / "simulator"
_INSTALL = ("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error")
_OUTCOMES = {"Allowed": True, "ImplicitlyDenied": False, "ExplicitlyDenied": False}


def allowed(policy: Mapping[str, Any], action: str, resource: str, context: Context | None = None) -> bool:
    """
    Whether whoever has this policy and no other may do it.

    Args:
        resource: An ARN; `*` for actions that take none.
        context: What stands in conditions' keys when the call comes in, such as aws:ResourceTag/htcondor:Pool.
    """
    asked = {
        "account": ACCOUNT,
        "action": action,
        "resource": resource,
        "context": dict(context or {}),
        "policy": policy,
    }
    answer = _ask(json.dumps(asked))
    if answer not in _OUTCOMES:
        raise ValueError(f"{action} on {resource}: {answer}")
    return _OUTCOMES[answer]


def _ask(question: str) -> str:
    simulator = _simulator()
    assert simulator.stdin
    assert simulator.stdout
    simulator.stdin.write(question + "\n")
    simulator.stdin.flush()
    return simulator.stdout.readline().strip()


@cache
def _simulator() -> "subprocess.Popen[str]":
    """One for the whole run: it takes a second to start."""
    try:
        folder = install()
    except OSError as error:
        pytest.skip(f"IAM's policies are tried in a simulator, and {error}")
    process = subprocess.Popen(
        ["node", "simulate.mjs"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(process.kill)
    return process


def install() -> Path:
    """
    Returns:
        The folder that it is installed in; the same one as long as tests/simulator is the same.

    Raises:
        OSError: There is no npm on this machine, or it can't install; a sentence's second half.
    """
    if not shutil.which("npm") or not shutil.which("node"):
        raise OSError("there is no npm on this machine: apt-get install npm")
    sources = sorted(_SOURCES.iterdir())
    version = sha256(b"".join(each.read_bytes() for each in sources)).hexdigest()[:12]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "condor-annex"
    folder = home / f"iam-{version}"
    home.mkdir(parents=True, exist_ok=True)
    with (home / "iam.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            sys.stderr.write(f"installing an IAM simulator for tests into {folder} by npm (about 10 seconds)\n")
            making = folder.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)
            shutil.copytree(_SOURCES, making)
            done = subprocess.run(_INSTALL, cwd=making, capture_output=True, text=True, check=False)
            if done.returncode:
                raise OSError(f"npm can't install it: {done.stderr.strip()[-500:] or done.returncode}")
            making.rename(folder)
    return folder


if __name__ == "__main__":
    try:
        install()
    except OSError as error:
        sys.stderr.write(f"the tests of IAM's policies will be skipped: {error}\n")
