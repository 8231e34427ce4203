"""A route with EditJobInPlace = False: the router runs a copy of the job, and asks all four hooks about it."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from rehearsal.pool import Pool
from tests.pool.annexes import Annexes

SEPARATOR = "\n------\n"

WITNESS = """\
#!/bin/sh
# Calls the hook of this name, and keeps who called it with what, and what it said.
folder=$(mktemp -d /tmp/witnessed/${0##*/}.XXXXXX)
tee $folder/stdin | /opt/condor-annex/libexec/condor-annex/${0##*/} > $folder/stdout 2> $folder/stderr
echo $? > $folder/status
id -un > $folder/user
touch $folder/done
cat $folder/stdout
exit $(cat $folder/status)
"""

HOOKS = {
    "annex_translate": "ANNEX_HOOK_TRANSLATE_JOB",
    "annex_update": "ANNEX_HOOK_UPDATE_JOB_INFO",
    "annex_finalize": "ANNEX_HOOK_JOB_FINALIZE",
    "annex_cleanup": "ANNEX_HOOK_JOB_CLEANUP",
}


@dataclass(frozen=True)
class Hooked:
    """One call of a hook. Without an answer of the daemon's it would have complained to stderr."""

    user: str
    stdin: str
    stdout: str
    stderr: str
    status: str


class Witness:
    def __init__(self, pool: Pool) -> None:
        self._folder = pool.ap.path("/tmp/witnessed")

    def calls(self, hook: str) -> list[Hooked]:
        """Those that have ended."""
        folders = [each for each in self._folder.glob(f"{hook}.*") if (each / "done").exists()]
        names = ("user", "stdin", "stdout", "stderr", "status")
        return [Hooked(*((folder / name).read_text() for name in names)) for folder in folders]


@pytest.fixture
def witness(pool: Pool, annexes: Annexes) -> Iterator[Witness]:
    """Of the hooks of a route that copies the jobs of annex mirrored."""
    knob = "/etc/condor/config.d/71-witnessed-hooks.config"
    pool.ap.run(["install", "-d", "-m", "1777", "/tmp/witnessed"])
    for hook in HOOKS:
        pool.ap.write(f"/opt/witness/{hook}", WITNESS, mode=0o755)
    pool.ap.write(knob, "".join(f"{macro} = /opt/witness/{hook}\n" for hook, macro in HOOKS.items()))
    annexes.route("mirror", 'TargetAnnexName == "mirrored"', EditJobInPlace="False")
    yield Witness(pool)
    pool.ap.run(["rm", "-r", knob, "/tmp/witnessed"])


def test_every_hook_is_asked_about_a_copy_and_answered_by_the_daemon(
    pool: Pool, annexes: Annexes, witness: Witness
) -> None:
    cluster = annexes.submit("mirrored", jobs=2, seconds=3)
    jobs = pool.wait_for_job(cluster)
    assert {(job["JobStatus"], job["ExitCode"]) for job in jobs} == {(4, 0)}
    pool.wait_for(lambda: witness.calls("annex_cleanup"), "the cleanup hook")

    for hook in HOOKS:
        assert {(call.user, call.status, call.stderr) for call in witness.calls(hook)} == {("alice\n", "0\n", "")}

    (translated,) = witness.calls("annex_translate")
    assert 'Name = "mirror"' in translated.stdin.partition(SEPARATOR)[0]
    assert "AnnexStatus = " in translated.stdout
    # One job of the cluster speaks for all: the first.
    copied = f'RoutedFromJobId = "{cluster}.0"\n'
    for update in witness.calls("annex_update"):
        assert (copied in update.stdin, update.stdout) == (True, "")
    (finalized,) = witness.calls("annex_finalize")
    source, _, copy = finalized.stdin.partition(SEPARATOR)
    assert f"ClusterId = {cluster}\n" in source
    assert copied in copy
    assert finalized.stdout == ""
    (cleaned,) = witness.calls("annex_cleanup")
    assert copied in cleaned.stdin
