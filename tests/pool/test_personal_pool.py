"""What somebody gets who is not root: the whole path in the HTCondor on the PATH, or a word on what would help."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal import personal
from rehearsal.host import Host
from rehearsal.image import CHECKOUT, Images

DEMO = [sys.executable, "-m", "rehearsal", "demo"]


class Somebody:
    """Whoever runs the tests: not root, with an HTCondor on the PATH."""

    def demo(self) -> "subprocess.Popen[str]":
        """Start it, as the leader of a process group."""
        return subprocess.Popen(
            DEMO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )

    def interrupt(self, demo: "subprocess.Popen[str]") -> None:
        """By Ctrl-C, which goes to the whole group."""
        os.killpg(demo.pid, signal.SIGINT)


class Carol(Somebody):
    """An ordinary user of a host that has HTCondor."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def demo(self) -> "subprocess.Popen[str]":
        return self._host.spawn(
            ["setsid", *DEMO], user="carol", cwd=str(CHECKOUT), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def interrupt(self, demo: "subprocess.Popen[str]") -> None:
        self._host.run(["sh", "-c", "kill -INT -$(pgrep -o -u carol)"])


@pytest.fixture(scope="module")
def somebody(request: pytest.FixtureRequest) -> Iterator[Somebody]:
    """Where root runs the tests: carol, at a host that has this checkout and its Python."""
    if os.geteuid():
        if not personal.is_possible():
            pytest.skip("needs an HTCondor on the PATH")
        yield Somebody()
        return
    images: Images = request.getfixturevalue("images")
    mount_point: Path = request.getfixturevalue("mount_point")
    python = {Path(sys.prefix), Path(sys.base_prefix)} - {Path("/usr")}  # /usr is the host's own
    shares = [CHECKOUT, *sorted(python)]
    host = Host("desk.test", "172.31.252.1", images.machine, mount_point=mount_point, shares=shares)
    try:
        host.run(["useradd", "--create-home", "carol"])
        host.run(["chmod", "a+x", "/root"])  # a checkout or a Python may lie there
        if host.run([sys.executable, "-c", ""], user="carol", check=False).returncode:
            pytest.skip("needs a Python outside of /usr, or the one that the rehearsal's Debian has")
        yield Carol(host)
    finally:
        host.kill()


def test_the_demo_runs_all_jobs_in_a_personal_pool_and_leaves_nothing(somebody: Somebody) -> None:
    with somebody.demo() as demo:
        said, _ = demo.communicate()  # the demo has a deadline of its own
    assert demo.returncode == 0, said
    assert "62 of 62 jobs gave the right output; no machine and no fleet is left" in said
    assert "nothing of it is left running or mounted here" in said


def test_the_personal_pool_of_an_interrupted_demo_is_gone(somebody: Somebody) -> None:
    with somebody.demo() as demo:
        assert demo.stdout
        for line in demo.stdout:
            if "joined" in line and "first" in line:
                break
        somebody.interrupt(demo)
        try:
            demo.wait(timeout=100)
        finally:
            demo.kill()  # of one that hangs nothing would end the next line
        rest = demo.stdout.read()
    assert demo.returncode == 130, rest
    assert "nothing of it is left running or mounted here" in rest


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
@pytest.mark.parametrize("verb", ["demo", "shell", "test"])
def test_without_root_and_without_htcondor_three_ways_out_are_named(verb: str) -> None:
    # Imports first: the interpreter may lie where only root can read.
    code = f"""
import os, sys
from rehearsal.__main__ import main
os.environ["PATH"] = "/nowhere"
os.seteuid(65534)
sys.argv = ["rehearsal", "{verb}"]
sys.exit(main())
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 2
    for way in (f"sudo make {verb}", f"PATH=...:$PATH make {verb}", "make unit"):
        assert way in answer.stderr
