"""The local cloud as a program, and machines as ordinary processes."""

import os
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import urllib3

from rehearsal.cloud.launcher import Machine
from rehearsal.cloud.process import ProcessHandle, ProcessLauncher

Start = Callable[..., ProcessHandle]

PATIENCE_S = 15


@pytest.fixture
def machine() -> Machine:
    return Machine(
        instance_id="i-0123456789abcdef0",
        instance_type="c5.large",
        address="172.31.0.4",
        zone="us-east-2a",
        hostname="ip-172-31-0-4.us-east-2.compute.internal",
        vcpus=2,
        memory_mib=4096,
        disk_gib=8,
        user_data="",
        image="",
        metadata="http://127.31.0.4:8080",
    )


@pytest.fixture
def start(machine: Machine, tmp_path: Path) -> Iterator[Start]:
    """start(script, **ProcessLauncher) -> handle; killed at the end."""
    handles = []

    def boot(script: str, **options: Any) -> ProcessHandle:
        handle = ProcessLauncher(tmp_path / "machines", **options).start(
            Machine(**vars(machine) | {"user_data": script})
        )
        handles.append(handle)
        return handle

    yield boot
    for handle in handles:
        handle.kill()


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_user_data_runs_with_its_metadata_and_a_directory_of_its_own(start: Start) -> None:
    handle = start('#!/bin/bash\necho "$ANNEX_METADATA"\n[ "$PWD" = "$ANNEX_MACHINE_DIR" ] && exit 7\n')
    until(lambda: handle.poll() is not None)
    assert (handle.poll(), handle.console()) == (7, "http://127.31.0.4:8080\n")


def test_a_machine_s_configuration_includes_the_given_one(start: Start, tmp_path: Path) -> None:
    given = tmp_path / "condor_config"
    handle = start('cat "$CONDOR_CONFIG"\n', condor_config=given)
    until(lambda: handle.poll() is not None)
    lines = handle.console().splitlines()
    assert lines[-1] == f"include : {given}"
    assert "MACHINE_ADDRESS = 172.31.0.4" in lines


def test_killing_a_machine_takes_what_it_started_in_other_sessions(start: Start) -> None:
    handle = start("setsid sleep 1000 & echo $!; sleep 1000\n")
    until(lambda: handle.console().strip())
    left_behind = int(handle.console())
    handle.kill()
    assert not alive(left_behind)


def test_a_machine_that_ends_leaves_nothing_behind(start: Start) -> None:
    handle = start("setsid sleep 1000 & echo $!; exit 0\n")
    until(lambda: handle.poll() is not None)
    assert not alive(int(handle.console()))


def test_the_directory_goes_with_the_machine_and_the_console_stays(start: Start, tmp_path: Path) -> None:
    handle = start("echo last words\n")
    until(lambda: handle.poll() is not None)
    handle.kill()
    assert (list((tmp_path / "machines").iterdir()), handle.console()) == ([], "last words\n")


@pytest.fixture
def program(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The cloud as a process of its own, with machines that are processes too."""
    command = [sys.executable, "-m", "rehearsal.cloud", "--bind", "127.0.0.1:0", "--metadata", "127.0.0.1:18080"]
    command += ["--launcher", "process", "--machines", str(tmp_path / "machines"), "--log", str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.fixture
def url(program: subprocess.Popen[str]) -> str:
    assert program.stdout
    return program.stdout.readline().removeprefix("local cloud at ").strip()


SCRIPT = """#!/bin/bash
token=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$ANNEX_METADATA/latest/api/token")
curl -sf -H "X-aws-ec2-metadata-token: $token" "$ANNEX_METADATA/latest/meta-data/instance-id"
echo
echo $$
sleep 1000
"""


def test_the_program_boots_machines_and_takes_them_along_when_it_ends(
    program: subprocess.Popen[str], url: str, session: boto3.Session, http: urllib3.PoolManager, tmp_path: Path
) -> None:
    ec2 = session.client("ec2", endpoint_url=url)
    [name] = [
        each["InstanceId"]
        for each in ec2.run_instances(
            ImageId=ec2.describe_images()["Images"][0]["ImageId"],
            InstanceType="c5.large",
            MinCount=1,
            MaxCount=1,
            UserData=SCRIPT,
        )["Instances"]
    ]

    def printed() -> list[str]:
        [machine] = http.request("GET", f"{url}/_rehearsal/machines").json()
        return str(machine["console"]).split()

    until(lambda: len(printed()) == 2)
    read, pid = printed()
    assert read == name
    program.send_signal(signal.SIGTERM)
    assert program.wait(PATIENCE_S) == 0
    assert not alive(int(pid))
    assert '"action": "RunInstances"' in (tmp_path / "log").read_text()


def test_the_program_heeds_a_signal_that_the_kernel_gives_to_another_of_its_threads(
    program: subprocess.Popen[str], url: str
) -> None:
    assert url
    other = max(int(thread.name) for thread in Path(f"/proc/{program.pid}/task").iterdir())
    assert other != program.pid
    os.kill(other, signal.SIGTERM)
    assert program.wait(PATIENCE_S) == 0


def test_machines_die_even_with_a_program_that_was_killed(
    program: subprocess.Popen[str], url: str, session: boto3.Session, http: urllib3.PoolManager
) -> None:
    ec2 = session.client("ec2", endpoint_url=url)
    image = ec2.describe_images()["Images"][0]["ImageId"]
    script = b64encode(b"echo $$; sleep 1000\n").decode()
    made = ec2.create_launch_template(
        LaunchTemplateName="annex", LaunchTemplateData={"ImageId": image, "UserData": script}
    )
    ec2.run_instances(
        LaunchTemplate={"LaunchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"]},
        InstanceType="c5.large",
        MinCount=1,
        MaxCount=1,
    )

    def printed() -> str:
        [machine] = http.request("GET", f"{url}/_rehearsal/machines").json()
        return str(machine["console"]).strip()

    until(printed)
    pid = int(printed())
    os.kill(program.pid, signal.SIGKILL)
    until(lambda: not alive(pid))


@pytest.mark.parametrize("wrong", [["--bind", "here"], ["--fill-fraction", "2"], ["--launcher", "netns"]])
def test_a_wrong_option_is_said_so(wrong: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rehearsal.cloud", *wrong], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "error:" in done.stderr) == (2, True)


def test_its_account_has_asked_for_spot_capacity_before(url: str, session: boto3.Session) -> None:
    iam = session.client("iam", endpoint_url=url)
    found = {each["RoleName"] for each in iam.list_roles()["Roles"]}
    assert {"AWSServiceRoleForEC2Spot", "AWSServiceRoleForEC2SpotFleet"} <= found


@pytest.mark.parametrize("program", ["rehearsal", "rehearsal.cloud"])
@pytest.mark.parametrize("word", ["-help", "--help", "-h"])
def test_help_is_given_in_every_spelling(program: str, word: str) -> None:
    done = subprocess.run([sys.executable, "-m", program, word], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"usage: python -m {program}" in done.stdout
