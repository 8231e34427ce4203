"""
What machines tell of themselves: that AWS recommends to leave them, what they really have, and that jobs fail on them;
and which of them is let go for a lowered cap.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rehearsal.pool import Pool
from tests.pool.annexes import Annexes

KINDS = {"AnnexInstanceTypes": "c5.large", "AnnexGrowInterval": "1s", "AnnexIdleTimeout": "1h"}
"""Machines with two CPUs, which come at once and leave only when they are told to."""


def started_once(annexes: Annexes, *clusters: int) -> bool:
    """All that has begun still runs."""
    jobs = [job for cluster in clusters for job in annexes.pool.jobs(f"ClusterId == {cluster}")]
    return {(job["JobStatus"], job["NumShadowStarts"]) for job in jobs} == {(2, 1)}


def advised(annexes: Annexes, rebalance: str | None) -> None:
    """Its route follows so many recommendations an hour."""
    annexes.route("advised", 'TargetAnnexName == "advised"', **KINDS, AnnexRebalance=rebalance)


def recommend(annexes: Annexes, machine: dict[str, Any]) -> None:
    """To leave a machine, and until the daemon knows."""
    annexes.control.recommend_rebalance(machine["InstanceId"])
    annexes.pool.wait_for(lambda: annexes.slot(machine).get("AnnexRebalanceAt"), "the slot ad to say it")
    annexes.look_again()


def test_a_machine_that_aws_recommends_to_leave_is_let_go_where_the_route_says_so_and_as_often_as_it_says(
    pool: Pool, annexes: Annexes
) -> None:
    advised(annexes, rebalance=None)
    first = annexes.submit("advised", seconds=1000)
    annexes.wait_running(first)
    (machine,) = annexes.alive("advised")
    recommend(annexes, machine)
    assert not annexes.told_to_drain(machine)

    advised(annexes, rebalance="1")
    pool.wait_for(lambda: annexes.told_to_drain(machine), "the machine to be drained")
    pool.wait_for(lambda: annexes.slot(machine).get("AnnexDraining"), "it to take no more job")
    second = annexes.submit("advised", seconds=1000)
    on = annexes.runs_on(second)
    (other,) = [each for each in annexes.alive("advised") if each["InstanceId"] != machine["InstanceId"]]
    assert on == [other["InstanceId"]]
    recommend(annexes, other)
    assert not annexes.told_to_drain(other)
    assert started_once(annexes, first, second)


def test_for_a_lowered_cap_the_emptiest_machine_is_let_go_and_no_job_is_ended(pool: Pool, annexes: Annexes) -> None:
    def lower(most: int) -> None:
        some = KINDS | {"AnnexIdleTimeout": "60s", "AnnexMaxInstances": str(most)}
        annexes.route("lowered", 'TargetAnnexName == "lowered"', **some)

    lower(2)
    cluster = annexes.submit("lowered", jobs=3, seconds=1000)
    on = annexes.runs_on(cluster, 3)
    kept, drained = sorted(annexes.alive("lowered"), key=lambda each: -on.count(each["InstanceId"]))
    free = {kept["InstanceId"]: 0, drained["InstanceId"]: 1}
    pool.wait_for(
        lambda: all(annexes.slot(each).get("Cpus") == free[each["InstanceId"]] for each in (kept, drained)),
        "the collector to hear of all jobs",
    )
    lower(1)
    pool.wait_for(lambda: annexes.told_to_drain(drained), "a machine to be drained")
    assert "1 machine of it is over the caps of route lowered and of its jobs, and drains" in annexes.log()
    pool.wait_for(lambda: annexes.slot(drained).get("AnnexDraining"), "it to take no more job")
    annexes.look_again()
    assert len(pool.jobs(f"ClusterId == {cluster}")) == 3
    assert started_once(annexes, cluster)
    pool.ap.run(["condor_rm", "-constraint", f'MachineAttrEC2InstanceID0 == "{drained["InstanceId"]}"'])
    pool.wait_for(lambda: annexes.ended(drained), "the end of the machine with its last job")
    assert [each["InstanceId"] for each in annexes.alive("lowered")] == [kept["InstanceId"]]
    assert len(pool.jobs(f"ClusterId == {cluster}")) == 2
    assert started_once(annexes, cluster)


LESS = {"AnnexConfigDir": "/etc/annex-less"}
"""The site keeps a gigabyte of each machine."""


def test_what_machines_really_have_is_kept_and_no_more_of_a_type_are_asked_for_by_its_brochure(
    pool: Pool, annexes: Annexes
) -> None:
    pool.ap.write("/etc/annex-less/90-less.config", "RESERVED_MEMORY = 1024\n")
    annexes.route("less", 'TargetAnnexName == "less"', **KINDS, **LESS)
    pool.wait_for_job(annexes.submit("less"))
    (small,) = annexes.alive("less")
    learned = f"machines of type c5.large and image {small['ImageId']} have 2 CPUs, 0 GPUs, 2867 MiB"
    pool.wait_for(lambda: learned in annexes.log(), "the daemon to learn it")
    annexes.stop_daemon()
    annexes.start_daemon()  # which knows it by the journal alone
    annexes.route("less", 'TargetAnnexName == "less"', **KINDS | {"AnnexInstanceTypes": "c5.large, m5.large"}, **LESS)
    annexes.wait_running(annexes.submit("less", seconds=1000, commands="request_memory = 3200"))
    assert sorted(each["InstanceType"] for each in annexes.alive("less")) == ["c5.large", "m5.large"]


WELL_ON_ONE = '#!/bin/sh\n[ "$(hostname)" = "$1" ]\n'
WHOLE = "request_cpus = 2"
JOB = """\
executable = job.sh
arguments = {host}
request_memory = 64
request_disk = 1024
annex_name = burning
queue {jobs}
"""

Learn = Callable[[bool], None]


@pytest.fixture
def learn(pool: Pool, annexes: Annexes) -> Iterator[Learn]:
    """Starts the daemon anew, which reads how jobs ended, or does not."""

    def start(yes: bool) -> None:
        annexes.stop_daemon()
        pool.ap.write("/etc/condor/config.d/99-the-daemon-learns.config", f"ANNEXD_LEARN_RUN_TIMES = {yes}\n")
        annexes.start_daemon()

    yield start
    start(False)


def test_a_machine_that_fails_job_after_job_which_go_well_on_another_one_gets_no_more(
    pool: Pool, annexes: Annexes, learn: Learn
) -> None:
    annexes.route("burning", 'TargetAnnexName == "burning"', **KINDS, AnnexMaxInstances="2")

    def submit(jobs: int) -> int:
        return pool.submit("alice", JOB.format(host=host, jobs=jobs), {"job.sh": WELL_ON_ONE})

    pool.wait_for_job(annexes.submit("burning", commands=WHOLE))
    (good,) = annexes.alive("burning")
    host = f"ip-{annexes.machine(good)['address'].replace('.', '-')}.us-east-2.compute.internal"
    filling = annexes.submit("burning", commands=WHOLE, seconds=1000)
    assert annexes.runs_on(filling) == [good["InstanceId"]]
    assert {job["ExitCode"] for job in pool.wait_for_job(submit(6))} == {1}
    (bad,) = [each for each in annexes.alive("burning") if each["InstanceId"] != good["InstanceId"]]
    learn(True)
    pool.wait_for(lambda: annexes.told_to_drain(bad), "the machine to be drained")
    assert f"machine {bad['InstanceId']} fails job after job, and gets no more" in str(annexes.status()["troubles"])
    pool.wait_for(lambda: annexes.slot(bad).get("AnnexDraining"), "it to take no more job")
    later = submit(1)
    annexes.look_again()
    assert not annexes.told_to_drain(good)
    assert started_once(annexes, filling)
    pool.ap.run(["condor_rm", str(filling)])
    (job,) = pool.wait_for_job(later)
    assert (job["ExitCode"], job["NumShadowStarts"]) == (0, 1)
