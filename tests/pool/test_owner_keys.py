"""AnnexCredentials = owner: the hook, which runs as the job's owner, brings the keys that pay."""

from collections.abc import Iterator

import pytest

from rehearsal.pool import Pool
from tests.pool.annexes import Annexes

SECRET = "TheSecretOfAlice0123456789"
"""As it stands in her file, and nowhere else."""


@pytest.fixture
def by_owner(pool: Pool, annexes: Annexes) -> Iterator[None]:
    annexes.route("own", 'TargetAnnexName == "own"', AnnexCredentials="owner")
    yield
    pool.ap.run(["sh", "-c", "rm -f ~alice/.condor/*KeyFile"], user="alice")


def keep_keys(pool: Pool) -> None:
    for name, key in (("publicKeyFile", "AKIAALICE"), ("privateKeyFile", SECRET)):
        keep = f"umask 077; mkdir -p ~alice/.condor; echo {key} > ~alice/.condor/{name}"
        pool.ap.run(["sh", "-c", keep], user="alice")


@pytest.mark.usefixtures("by_owner")
def test_a_users_own_keys_come_by_the_hook_pay_and_stand_nowhere_else(pool: Pool, annexes: Annexes) -> None:
    first = annexes.submit("own")
    annexes.wait_said(first, "alice's keys can't be had: ")
    [waiting] = pool.jobs(f"ClusterId == {first}")
    assert ".condor/publicKeyFile: No such file or directory" in waiting["AnnexStatus"]
    assert annexes.fleets("own") == []
    keep_keys(pool)
    second = annexes.submit("own")
    for cluster in (first, second):
        pool.wait_for_job(cluster)
    assert annexes.of("own")["owner"] == "alice"
    folders = [pool.knob("LOG"), pool.knob("SPOOL"), "/etc/condor"]
    found = pool.ap.run(["grep", "-rlaF", "-e", SECRET, "-e", "AKIAALICE", *folders], check=False)
    assert (found.stdout, found.returncode) == ("", 1)
