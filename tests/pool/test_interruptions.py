"""AWS takes a machine back: its jobs write out what they have, and go on from there on another one."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from rehearsal.pool import Pool
from rehearsal.sandbox import CLOUD
from tests.pool.annexes import Annexes

AT_ITS_SIGNAL = """\
#!/bin/sh
# Writes down where it stands when it is asked to leave, and goes on from there, for longer than a look around takes.
[ ! -s state ] || [ "$(cat state)" = "$(hostname)" ] || { cat state; exec sleep 10; }
trap 'hostname >state; kill $!; exit 1' TERM
sleep 1000 & wait
"""
AT_ITS_CHECKPOINT_SIGNAL = """\
#!/bin/sh
# The same, in HTCondor's way of checkpoints.
[ ! -s state ] || [ "$(cat state)" = "$(hostname)" ] || { cat state; exec sleep 10; }
trap 'hostname >state; kill $!; exit 85' USR1
sleep 1000 & wait
"""
JOB = """\
executable = job.sh
output = out
request_memory = 64
request_disk = 1024
annex_name = {annex}
should_transfer_files = yes
{more}
queue
"""
EVICTED = "when_to_transfer_output = ON_EXIT_OR_EVICT"
CHECKPOINTED = """\
checkpoint_exit_code = 85
transfer_checkpoint_files = state
+WantCheckpointSignal = True
+CheckpointSig = "SIGUSR1"
"""


@pytest.fixture
def slow(annexes: Annexes) -> Annexes:
    """Its annexes grow once an hour; a notice comes 70 seconds ahead."""
    annexes.route("slow", 'TargetAnnexName == "taken"', AnnexGrowInterval="1h", AnnexInstanceTypes="c5.large")
    annexes.control.settings(notice_s=70)
    return annexes


def test_jobs_of_a_machine_that_aws_takes_back_go_on_at_once_on_another_one(pool: Pool, slow: Annexes) -> None:
    jobs = [
        pool.submit("alice", JOB.format(annex="taken", more=more), {"job.sh": script})
        for script, more in ((AT_ITS_SIGNAL, EVICTED), (AT_ITS_CHECKPOINT_SIGNAL, CHECKPOINTED))
    ]
    for job in jobs:  # a signal that comes while a job still transfers its input reaches no process of it
        begun = f"ClusterId == {job} && JobCurrentStartExecutingDate =!= undefined"
        pool.wait_for(lambda begun=begun: pool.jobs(begun), f"job {job} to execute")
    (taken,) = slow.alive("taken")
    slow.control.interrupt(taken["InstanceId"])
    for job in jobs:
        pool.wait_for_job(job)
    # They ended elsewhere, with what the first run had written, while the machine was still there.
    assert not slow.ended(taken)
    host = slow.machine(taken)["address"].replace(".", "-")
    ended_on = [ad["LastRemoteHost"] for job in jobs for ad in pool.history(f"ClusterId == {job}")]
    assert not [each for each in ended_on if taken["InstanceId"] in each]
    assert all(f"ip-{host}" in pool.output(job, "out") for job in jobs)
    annex = slow.of("taken")
    (machine,) = [each for each in annex["instances"]["list"] if each["id"] == taken["InstanceId"]]
    assert machine["interrupted"]
    # One wrote out as it left; the other one ran on, after its checkpoint, until it was asked to leave as well.
    lost = annex["interruptions"]
    assert (lost["machines"], lost["jobs"]) == (1, 2)
    assert lost["lost_s"] <= 45
    pool.wait_for(lambda: slow.ended(taken), "AWS to take it")


SAYS_ITS_SIGNAL = """\
#!/bin/sh
[ ! -s state ] || { cat state; exit; }
trap 'curl -s "$1/leave"; echo left >state; kill $!; exit 1' TERM
trap 'curl -s "$1/checkpoint"; echo saved >state; kill $!; exit 85' USR1
curl -s "$1/start"
sleep 1000 & wait
"""
QUIET = {"90-quiet.config": "STARTER_INITIAL_UPDATE_INTERVAL = 300\n"}
"""A starter that waits for an answer of the access point passes no signal on; it reports no sooner than it must."""


class Ear:
    """Hears what jobs say past the access point."""

    def __init__(self) -> None:
        heard: list[str] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                heard.append(self.path.removeprefix("/"))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.heard = heard
        self.server = http.server.ThreadingHTTPServer((CLOUD, 0), Handler)
        self.url = f"http://{CLOUD}:{self.server.server_port}"


@pytest.fixture
def ear() -> Iterator[Ear]:
    ear = Ear()
    with ear.server as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield ear
        server.shutdown()
        thread.join()


@pytest.fixture
def cut_off(pool: Pool, annexes: Annexes) -> Iterator[Annexes]:
    """For a test that takes the access point off the network; it is back afterwards, however that was."""
    for name, text in QUIET.items():
        pool.ap.write(f"/etc/annex-quiet/{name}", text)
    annexes.route("unheard", 'TargetAnnexName == "unheard"', AnnexConfigDir="/etc/annex-quiet")
    yield annexes
    pool.ap.reconnect()


def test_jobs_hear_of_it_while_the_access_point_is_cut_off_and_go_on_when_it_is_back(
    pool: Pool, cut_off: Annexes, ear: Ear
) -> None:
    jobs = [
        pool.submit(
            "alice",
            JOB.format(annex="unheard", more=f"{more}\narguments = {ear.url}/{name}"),
            {"job.sh": SAYS_ITS_SIGNAL},
        )
        for name, more in (("evicted", EVICTED), ("checkpointed", CHECKPOINTED))
    ]
    for job in jobs:
        begun = f"ClusterId == {job} && JobCurrentStartExecutingDate =!= undefined"
        pool.wait_for(lambda begun=begun: pool.jobs(begun), f"job {job} to execute")
    pool.wait_for(lambda: len(ear.heard) == 2, "both jobs to say that they started")
    machines = cut_off.alive("unheard")
    pool.ap.cut_off()
    for machine in machines:
        cut_off.control.interrupt(machine["InstanceId"])
    pool.wait_for(lambda: len(ear.heard) == 4, "both jobs to say that they got their signals")
    assert sorted(ear.heard[2:]) == ["checkpointed/checkpoint", "evicted/leave"]
    pool.ap.reconnect()
    for job in jobs:
        pool.wait_for_job(job)
    assert [pool.output(job, "out") for job in jobs] == ["left\n", "saved\n"]
