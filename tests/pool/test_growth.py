"""How far an annex grows, by what the schedd and the annex collector tell of jobs that don't wait."""

import pytest

from rehearsal.pool import Pool
from tests.pool.annexes import Annexes

WHOLE = "request_cpus = 2"
"""Of an m5.large."""


@pytest.fixture
def eager(annexes: Annexes) -> Annexes:
    """A route whose annexes may grow at each cycle, by machines of one type that stay."""
    annexes.route(
        "eager",
        'substr(TargetAnnexName, 0, 6) == "eager-"',
        AnnexGrowInterval="1s",
        AnnexIdleTimeout="1h",
        AnnexInstanceTypes="m5.large",
    )
    return annexes


def test_the_limit_of_a_job_that_never_waited_binds_the_jobs_that_come_after_it(eager: Annexes) -> None:
    eager.submit("eager-bound", commands="hold = True\nannex_max_instances = 1")
    later = eager.submit("eager-bound", jobs=4, seconds=600, commands=WHOLE)
    eager.wait_running(later)
    eager.wait_said(later, "the cap of 1 machine")
    assert len(eager.instances("eager-bound")) == 1


def test_a_job_that_comes_as_another_ends_gets_its_machine_and_no_new_one(pool: Pool, eager: Annexes) -> None:
    for _ in range(4):
        cluster = eager.submit("eager-chain", commands=WHOLE)
        pool.wait_for_job(cluster)
    assert len(eager.fleets("eager-chain")) == 1
    cost = pool.ap.run(["condor_history", str(cluster), "-af", "AnnexCost"]).stdout
    assert 0 < float(cost) < 0.01
