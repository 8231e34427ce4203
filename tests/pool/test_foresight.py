"""What jobs would get before they are submitted, and why those that wait get no more; in the user's own shell."""

import json
from typing import Any

from rehearsal.pool import Pool
from tests.pool.annexes import CONDOR_ANNEX, Annexes

FRONT_END = "/opt/condor-annex/bin/condor_submit_annex"
PLANS = """
executable = /bin/sleep
arguments = $(ProcId)
request_cpus = $(cpus)
request_memory = 1G
request_disk = 1M
annex_lifetime = 1h
queue 6 cpus in (2, 4)
"""


def asked(pool: Pool, *words: str, submit: str = PLANS, status: int = 0) -> Any:
    done = pool.ap.run([*words, "-"], user="alice", input=submit, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout)["plans"] if "-json" in words else done.stdout + done.stderr


def test_a_plan_says_what_would_come_and_submits_nothing_and_why_says_what_keeps_the_jobs(
    pool: Pool, annexes: Annexes
) -> None:
    pool.wait_for(lambda: annexes.status()["as_of"], "the daemon's first look around")
    before = annexes.calls_so_far()
    plan = [CONDOR_ANNEX, "plan", "-json", "-append", "annex_name = foreseen"]
    (told,) = asked(pool, *plan)
    assert (told["route"], told["lives"], told["market"]) == ("rehearsal", False, "spot")
    assert [(each["jobs"], each["cpus"], each["waiting"]) for each in told["groups"]] == [(6, 2, 0), (6, 4, 0)]
    assert {name for each in told["fleets"] for name in each["types"]} <= {
        "c5.large",
        "c5.xlarge",
        "m5.large",
        "m5.xlarge",
    }
    assert told["machines"] >= 9
    assert 60 < told["seconds"]["low"] < told["seconds"]["high"]
    assert told["usd"]

    # As the front end has it, late materialised, on a route that is named, as a table.
    said = asked(
        pool, FRONT_END, "-annex", "foreseen", "-annex-dry-run", "-route", "rehearsal", submit=f"max_idle = 3\n{PLANS}"
    )
    for words in ("12 jobs, nothing submitted", "Annex foreseen would be made", "by route rehearsal", "Last job: ends"):
        assert words in said
    too_large = PLANS.replace("4)", "64)")
    (told,) = asked(pool, *plan, submit=too_large, status=1)
    assert "it asks for 64 CPUs, the largest type" in " ".join(told["limits"])
    assert "no annex_name to say which" in asked(pool, CONDOR_ANNEX, "plan", status=1)
    assert "must be a duration" in asked(pool, *plan[:2], *plan[3:], submit=PLANS.replace("1h", "1y"), status=1)
    assert "no annex route nowhere" in asked(pool, *plan[:2], "-route", "nowhere", status=2)
    assert not annexes.calls("RequestSpotFleet", before)
    assert not pool.jobs('Owner == "alice" && TargetAnnexName == "foreseen"')

    cluster = annexes.submit("foreseen", commands="request_cpus = 64")
    annexes.wait_said(cluster, "no machine of route rehearsal can run them")
    done = pool.ap.run([CONDOR_ANNEX, "why", f"{cluster}.0", "-json"], user="alice")
    answer = json.loads(done.stdout)
    assert answer["job"]["state"] == "idle"
    (group,) = answer["groups"]
    assert (group["jobs"], group["waiting"], group["cpus"]) == (1, 1, 64)
    assert "m5.xlarge, has 4" in group["why_not_more"]
    said = pool.ap.run([CONDOR_ANNEX, "why", "foreseen"], user="alice").stdout
    assert "1 job waits: no machine of route rehearsal can run them" in " ".join(said.split())
    assert "no annex foreseen of bob" in pool.ap.run([CONDOR_ANNEX, "why", "foreseen"], user="bob", check=False).stderr
