"""The programs that the job router runs for annex jobs: what it can't run it leaves out, with a line in its own log."""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import htcondor2

_KNOBS = (
    "ANNEX_HOOK_TRANSLATE_JOB",
    "ANNEX_HOOK_UPDATE_JOB_INFO",
    "ANNEX_HOOK_JOB_FINALIZE",
    "ANNEX_HOOK_JOB_CLEANUP",
)


def unusable_hooks(configuration: Mapping[str, str] = htcondor2.param) -> Iterator[str]:
    """
    A sentence for each hook that the router, or the kernel, would refuse to run.

    Args:
        configuration: HTCondor's, expanded.

    Source:
        hook_utils.cpp of HTCondor for what the router refuses. It runs a hook as the job's owner, who may be anybody;
        where the hook is this process's own user's, so is the pool.
    """
    for knob in _KNOBS:
        path = str(configuration.get(f"JOB_ROUTER.{knob}") or configuration.get(knob) or "").strip()
        try:
            why = _fault(Path(path)) if path else "it is not set"
        except OSError as error:
            why = f"{error.filename}: {error.strerror}"
        if why:
            yield f"{knob}: error: {why}; the job router leaves this hook out"


def _fault(hook: Path) -> str | None:
    status = hook.stat()
    if not stat.S_ISREG(status.st_mode):
        return f"{hook} is no file"
    for written in (hook, hook.parent):
        if written.stat().st_mode & stat.S_IWOTH:
            return f"everybody may write to {written}"
    own = status.st_uid == os.geteuid() != 0
    if not status.st_mode & (stat.S_IXUSR if own else stat.S_IXOTH):
        return f"{hook} is not executable{'' if own else ' by everybody'}"
    closed = [folder for folder in hook.resolve().parents if not folder.stat().st_mode & stat.S_IXOTH]
    if closed and not own:
        return f"not everybody may enter {closed[-1]}, where {hook} is"
    with hook.open("rb") as program:
        first = program.readline(200)
    interpreter = os.fsdecode(first[2:].split()[0]) if first.startswith(b"#!") and first[2:].split() else None
    if interpreter and not os.access(interpreter, os.X_OK):
        return f"{interpreter}, which is to run {hook}, is not there"
    return None
