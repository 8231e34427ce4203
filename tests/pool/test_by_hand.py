"""Annexes by hand, as users and administrators type it: created, joined, extended, ended; and what is refused."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from rehearsal.pool import Pool
from tests.pool.annexes import CONDOR_ANNEX, LEASE_ENDS, Annexes, tags


def annex(pool: Pool, *typed: str, user: str = "alice", fine: bool = True) -> str:
    """What condor_annex says; *fine* tells whether it is to succeed."""
    done = pool.ap.run([CONDOR_ANNEX, *typed], user=user, check=False)
    assert (done.returncode == 0) is fine, done.stdout + done.stderr
    return done.stdout + done.stderr


def audit(pool: Pool) -> list[dict[str, Any]]:
    return [json.loads(line) for line in pool.ap.read(pool.knob("ANNEX_AUDIT_LOG")).splitlines()]


def test_an_annex_lives_by_hand_from_its_creation_to_its_end(pool: Pool, annexes: Annexes) -> None:
    pool.wait_for(lambda: annexes.status()["as_of"], "the daemon's first look around")
    said = annex(pool, "create", "hand-made", "-duration", "30m", "-idle", "1h", "-yes")
    assert "1 machine (spot)" in said
    assert "at most $" in said
    assert "AWS has taken the request" in said

    lease = annex(pool, "extend", "hand-made", "-duration", "2h").split("ends at ")[1].split(".")[0]

    def leases() -> list[str]:
        return [tags(each)[LEASE_ENDS] for each in [*annexes.fleets("hand-made"), *annexes.alive("hand-made")]]

    pool.wait_for(lambda: leases() == [lease] * 2, "the lease on the fleet and its machine")
    (machine,) = annexes.alive("hand-made")

    annex(pool, "end", "hand-made", user="bob", fine=False)
    annex(pool, "end", "hand-made", "-owner", "alice", user="bob", fine=False)
    # Longer than the machine takes to see by its tag that the annex has ended, and all of the machine.
    cluster = annexes.submit("hand-made", seconds=45, commands="request_cpus = 2")
    annexes.wait_running(cluster)
    pool.wait_for(lambda: annexes.of("hand-made")["instances"]["joined"] == 1, "the machine, as the daemon sees it")
    annex(pool, "end", "hand-made")
    late = annexes.submit("hand-made")
    annexes.wait_said(late, "Annex hand-made ends")
    (job,) = pool.wait_for_job(cluster)
    assert (job["ExitCode"], job["NumJobStarts"]) == (0, 1)
    pool.wait_for(lambda: annexes.ended(machine), "the end of the machine")
    annexes.wait_said(late, "it was ended by alice")
    assert all(each["SpotFleetRequestState"].startswith("cancelled") for each in annexes.fleets("hand-made"))

    told = audit(pool)
    mine = [each for each in told if each["annex"] == "alice/hand-made"]
    assert {"create", "extend", "end"} <= {each["what"] for each in mine if each["from"] == "command"}
    (asked,) = [each for each in mine if each["what"] == "ec2:RequestSpotFleet"]
    assert (asked["from"], asked["who"]["user"], asked["outcome"]) == ("command", "alice", "ok")
    assert asked["aws_request_id"]
    bobs = [each["outcome"] for each in told if each["who"] and each["who"]["user"] == "bob" and each["what"] == "end"]
    assert any("only an administrator" in each for each in bobs)


def test_an_order_outlives_a_daemon_that_is_killed_and_is_destroyed_without_a_trace(
    pool: Pool, annexes: Annexes
) -> None:
    annexes.control.fail(action="PutObject", error="AccessDenied", status=403, times=None)
    since = annexes.calls_so_far()
    annex(pool, "create", "hand-killed", "-yes", "-no-wait")
    pool.wait_for(lambda: annexes.calls("PutObject", since), "the bundle that can't be stored")
    pool.ap.run(["kill", "-KILL", str(annexes.daemon_pid())])
    annexes.control.heal()
    pool.wait_for(lambda: annexes.alive("hand-killed"), "the machine that was ordered")
    (fleet,) = annexes.fleets("hand-killed")
    assert len(annexes.brought(fleet)) == 1
    said = annex(pool, "destroy", "hand-killed", "-verify")
    assert "AWS shows nothing any more that carries the tags" in said
    assert not annexes.alive("hand-killed")


def test_an_annex_for_anybody_runs_the_jobs_of_all_who_name_it(pool: Pool, annexes: Annexes) -> None:
    refused = annex(pool, "create", "hand-open", "-no-owner", "-yes", fine=False)
    assert "only an administrator may do that to annex hand-open for anybody's jobs" in refused
    annex(pool, "create", "hand-open", "-no-owner", "-idle", "10m", "-yes", user="root")
    clusters = {user: annexes.submit("hand-open", user=user, seconds=1234) for user in ("alice", "bob")}
    annexes.wait_said(clusters["bob"], "is for anybody's jobs")
    for cluster in clusters.values():
        annexes.wait_running(cluster)
    (machine,) = annexes.alive("hand-open", "+anybody")
    uids = pool.wait_for(lambda: _uids_of("1234") if len(_uids_of("1234")) == 2 else (), "both jobs' processes")
    assert not {0, 65534} & uids  # neither root nor nobody: one owner's job can't read the other's
    assert not annexes.fleets("hand-open", "alice") + annexes.fleets("hand-open", "bob")
    annex(pool, "end", "hand-open", "-now", fine=False)
    assert annex(pool, "end", "hand-open", "-now", user="root")
    pool.wait_for(lambda: annexes.ended(machine), "the end of the machine")
    pool.ap.run(["condor_rm", "-all"])
    pool.ap.run(["condor_rm", "-forcex", "-all"])  # as below: the plug was pulled


def _uids_of(argument: str) -> set[int]:
    """Users that processes of this one argument run as, on all hosts of the rehearsal."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if process.joinpath("cmdline").read_bytes().split(b"\0")[1:] == [argument.encode(), b""]:
                found.add(process.stat().st_uid)
    return found


def test_what_is_frozen_gets_nothing_until_it_is_thawed_and_the_worst_day_ends_everything(
    pool: Pool, annexes: Annexes
) -> None:
    annex(pool, "freeze", "hand-cold")
    cold = annexes.submit("hand-cold", seconds=1000)
    warm = annexes.submit("hand-warm", seconds=1000, user="bob")
    annexes.wait_said(cold, "frozen")
    annexes.wait_running(warm)
    assert not annexes.fleets("hand-cold")
    annex(pool, "thaw", "hand-cold")
    annexes.wait_running(cold)

    annex(pool, "end", "-all", "-now", "-yes", fine=False)
    assert annexes.alive("hand-cold")
    annex(pool, "end", "-all", "-now", "-yes", user="root")
    for name, user in (("hand-cold", "alice"), ("hand-warm", "bob")):
        (machine,) = annexes.instances(name, user)
        pool.wait_for(lambda ended=machine: annexes.ended(ended), f"the end of {name}'s machine")
        annexes.wait_said(annexes.submit(name, user=user), "it was ended by root")
        assert len(annexes.fleets(name, user)) == 1
    pool.ap.run(["condor_rm", "-all"])
    pool.ap.run(["condor_rm", "-forcex", "-all"])  # here to terminate is to pull the plug: no machine says goodbye
