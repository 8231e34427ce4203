"""What demo, shell and tests promise to whoever starts them: the whole path to see, an end at will, nothing left."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.pool import Pool
from rehearsal.summary import Rented, faults
from rehearsal.workload import workloads

DEMO = [sys.executable, "-m", "rehearsal", "demo"]
SHELL = [sys.executable, "-m", "rehearsal", "shell"]


@pytest.mark.usefixtures("images")
def test_the_demo_runs_all_jobs_and_leaves_nothing() -> None:
    demo = subprocess.run(DEMO, capture_output=True, text=True, timeout=400, check=False)
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "62 of 62 jobs gave the right output; no machine and no fleet is left" in demo.stdout
    assert "nothing of it is left running or mounted here" in demo.stdout


@pytest.mark.usefixtures("images")
def test_the_demo_interrupted_says_so_and_leaves_nothing() -> None:
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, text=True, start_new_session=True) as demo:
        assert demo.stdout
        for line in demo.stdout:
            if "requested" in line:
                break
        os.killpg(demo.pid, signal.SIGINT)
        try:
            demo.wait(timeout=100)
        finally:
            demo.kill()  # of one that hangs nothing would end the next line
        rest = demo.stdout.read()
    assert demo.returncode == 130, rest
    assert "Traceback" not in rest
    assert "nothing of it is left running or mounted here" in rest


@pytest.mark.usefixtures("images")
def test_what_the_shell_proposes_to_type_works_there() -> None:
    typed = """
        condor_submit -annex blue hello.sub
        condor_q
        while condor_q -af ClusterId | grep -q .; do sleep 1; done
        condor_annex status blue
        cat hello.4.out
    """
    shell = subprocess.run(SHELL, input=typed, capture_output=True, text=True, timeout=200, check=False)
    assert shell.returncode == 0, shell.stdout + shell.stderr
    for seen in ("5 job(s) submitted", "5 idle", "id blue-", "hello from job 4", 'AnnexName = "blue"'):
        assert seen in shell.stdout


@pytest.mark.usefixtures("images")
def test_leaving_the_shell_gives_its_status_and_leaves_nothing() -> None:
    shell = subprocess.run(SHELL, input="exit 3", capture_output=True, text=True, timeout=120, check=False)
    assert shell.returncode == 3, shell.stdout + shell.stderr
    assert "nothing of it is left running or mounted here" in shell.stdout


def test_a_result_that_a_job_did_not_bring_is_a_fault(pool: Pool) -> None:
    load = dataclasses.replace(workloads("alice", "bob")[0], typed="condor_submit -append hold=true", jobs=1)
    load.submit(pool)
    assert "left no result" in next(load.faults(pool))


def test_a_result_of_another_input_is_a_fault(pool: Pool) -> None:
    load = dataclasses.replace(workloads("alice", "bob")[0], typed="condor_submit -append hold=true", jobs=1)
    load.submit(pool)
    result = f'{"0" * 64}  -\nAnnexName = "sky"\nCpus = 1\n'
    pool.ap.write(f"{pool.folder(load.cluster)}/result.0", result, user="alice")
    assert list(load.faults(pool)) == [f"job {load.cluster}.0 read something else than its input"]


TAGS = tuple(
    (f"htcondor:{name}", "x")
    for name in ("AccessPoint", "AnnexName", "EndsAtLatest", "LeaseEnds", "Owner", "Pool", "ProjectID", "Route")
)


@pytest.mark.parametrize("state", ["running", "shutting-down", "active", "submitted"])
def test_what_is_not_gone_at_aws_is_a_fault(state: str) -> None:
    assert list(faults([Rented("i-1", "instance", state, TAGS)])) == [f"instance i-1 is {state}"]


def test_a_missing_tag_is_a_fault() -> None:
    assert list(faults([Rented("sfr-1", "fleet", "cancelled", TAGS[1:])])) == [
        "fleet sfr-1 has no tag htcondor:AccessPoint"
    ]


def test_what_is_gone_and_fully_tagged_is_no_fault() -> None:
    gone = [Rented("i-1", "instance", "terminated", TAGS), Rented("sfr-1", "fleet", "cancelled", TAGS)]
    assert list(faults(gone)) == []


def watched(script: str) -> str:
    """What a process prints that runs *script* with sh under Aftermath: its status, then what is left."""
    code = f"""
from rehearsal.aftermath import Aftermath
aftermath = Aftermath()
print(aftermath.run(["sh", "-c", {script!r}]), *aftermath.left(), sep="|")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


@pytest.fixture
def mount_target() -> Iterator[Path]:
    target = Path("/dev/shm/test-of-aftermath")
    target.mkdir()
    yield target
    subprocess.run(["umount", target], check=False, stderr=subprocess.DEVNULL)
    target.rmdir()


def test_a_command_that_cleans_up_leaves_nothing() -> None:
    assert watched("sleep 0.1 & wait; exit 3") == "3"


def test_a_process_that_outlives_the_command_is_told_of_and_killed() -> None:
    answer = watched("setsid sleep 4321 >/dev/null 2>&1 &")
    assert "sleep 4321" in answer
    assert subprocess.run(["pgrep", "-f", "^sleep 4321$"], check=False).returncode == 1


@pytest.mark.usefixtures("images")
def test_a_mount_that_outlives_the_command_is_told_of(mount_target: Path) -> None:
    assert f"mount {mount_target}" in watched(f"mount -t tmpfs tmpfs {mount_target}")


@pytest.mark.usefixtures("images")
def test_a_network_interface_that_outlives_the_command_is_told_of() -> None:
    assert "network interface v172.31.9.9" in watched("ip link add v172.31.9.9 type veth peer name other")
    subprocess.run(["ip", "link", "delete", "v172.31.9.9"], check=True)


def test_a_killed_starter_takes_the_command_along() -> None:
    code = "from rehearsal.aftermath import Aftermath; Aftermath().run(['sh', '-c', 'echo ready; exec sleep 5432'])"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout
        starter.stdout.readline()
        starter.kill()
        ends = time.monotonic() + 10
        assert starter.stdout.read() == ""  # ends when the last process that holds the pipe has ended
        assert time.monotonic() < ends
