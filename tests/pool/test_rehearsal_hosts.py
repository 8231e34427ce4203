"""What the rehearsal promises of its sandbox, its hosts and its pool."""

import http.server
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rehearsal.cloud.launcher import Machine
from rehearsal.host import Host
from rehearsal.image import Images
from rehearsal.machines import NetnsLauncher
from rehearsal.pool import Pool
from rehearsal.sandbox import BRIDGE, CLOUD

pytestmark = pytest.mark.usefixtures("images")

ENTER = [sys.executable, "-m", "rehearsal", "enter", "--"]


@pytest.fixture
def boot(images: Images, mount_point: Path) -> Iterator[Callable[..., Host]]:
    """Boots a host with a number, hN at 172.31.250.N, and kills it afterwards."""
    hosts: list[Host] = []

    def boot_one(number: int, **more: Any) -> Host:
        host = Host(f"h{number}", f"172.31.250.{number}", images.machine, mount_point=mount_point, **more)
        hosts.append(host)
        return host

    yield boot_one
    for host in hosts:
        host.kill()


def eventually(what: Callable[[], object], within: float = 60) -> bool:
    end = time.monotonic() + within
    while not (answer := what()) and time.monotonic() < end:
        time.sleep(0.02)
    return bool(answer)


def entered(script: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([*ENTER, "bash", "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_killed_sandbox_leaves_no_process() -> None:
    process = entered("setsid sleep 1000 & echo ready; sleep 1000")
    process.kill()
    process.communicate(timeout=60)  # ends when the last process that holds the pipe has ended


def test_a_mount_in_the_sandbox_is_never_seen_outside() -> None:
    process = entered("mount -t tmpfs tmpfs /mnt && touch /mnt/inside; echo ready; sleep 1000")
    seen = Path("/mnt/inside").exists()
    process.kill()
    process.communicate(timeout=60)
    assert not seen


def test_a_mount_in_the_sandbox_is_there_inside() -> None:
    script = "mount -t tmpfs tmpfs /mnt && touch /mnt/inside; test -e /mnt/inside"
    assert subprocess.run([*ENTER, "bash", "-c", script], check=False).returncode == 0


def test_temporary_files_stay_in_the_sandbox() -> None:
    answer = subprocess.run([*ENTER, "mktemp"], check=True, capture_output=True, text=True)
    assert not Path(answer.stdout.strip()).exists()


def test_sigterm_reaches_the_command_and_its_status_comes_back() -> None:
    with entered("trap 'exit 3' TERM; echo ready; sleep 1000 & wait") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 3


def test_a_command_that_does_not_exist_is_127_as_in_a_shell() -> None:
    answer = subprocess.run([*ENTER, "no-such-command"], check=False, capture_output=True, text=True)
    assert answer.returncode == 127


def test_orphans_are_reaped() -> None:
    script = "(sleep 0.1 &) ; sleep 0.5; ps -e -o stat= | grep -c Z"
    answer = subprocess.run([*ENTER, "bash", "-c", script], check=False, capture_output=True, text=True)
    assert answer.stdout == "0\n"


def test_a_host_has_its_own_name_address_and_processes(boot: Callable[..., Host]) -> None:
    host = boot(1)
    script = "hostname; ip -brief -4 address show eth0 | awk '{print $3}'; cat /proc/1/comm"
    assert host.run(["sh", "-c", script]).stdout.split() == ["h1", "172.31.250.1/16", "tini"]


def test_what_a_host_writes_no_other_host_sees(boot: Callable[..., Host]) -> None:
    one, other = boot(1), boot(2)
    one.write("/tmp/mine", "text")
    assert other.run(["test", "-e", "/tmp/mine"], check=False).returncode == 1


def test_a_shared_folder_is_there_to_be_read(boot: Callable[..., Host], tmp_path: Path) -> None:
    (tmp_path / "word").write_text("hello")
    host = boot(1, shares=[tmp_path])
    assert host.run(["cat", f"{tmp_path}/word"]).stdout == "hello"
    assert "Read-only" in host.run(["touch", f"{tmp_path}/word"], check=False).stderr


def test_hosts_reach_one_another(boot: Callable[..., Host]) -> None:
    one, other = boot(1), boot(2)
    one.write("/srv/page", "from h1")
    with one.spawn(["python3", "-m", "http.server", "80", "-d", "/srv"], stderr=subprocess.DEVNULL) as server:
        fetch = ["curl", "-s", "--retry", "20", "--retry-connrefused", "--retry-delay", "1", "http://172.31.250.1/page"]
        assert other.run(fetch).stdout == "from h1"
        server.kill()


def test_the_cloud_keeps_its_hardware_address_while_hosts_come_and_go(boot: Callable[..., Host]) -> None:
    show = ["ip", "-brief", "link", "show", BRIDGE]
    before = subprocess.check_output(show).split()[2]
    one, _ = boot(1), boot(2)
    one.kill()
    boot(3)
    assert subprocess.check_output(show).split()[2] == before


def test_a_command_that_outlives_its_timeout_is_killed(boot: Callable[..., Host]) -> None:
    host = boot(1)
    with pytest.raises(subprocess.TimeoutExpired):
        host.run(["sleep", "1234"], timeout=0.3)
    assert eventually(lambda: host.run(["pgrep", "-f", "sleep 1234"], check=False).returncode == 1)


def test_a_poweroff_ends_the_host_from_anywhere_in_it(boot: Callable[..., Host]) -> None:
    host = boot(1, init=("sh", "-c", "setsid sleep 1000 & sleep 0.2; poweroff; sleep 1000"))
    assert eventually(lambda: host.poll() is not None)
    assert host.poll() == 0


def test_a_killed_host_leaves_no_process_and_no_interface(boot: Callable[..., Host]) -> None:
    host = boot(1)
    with host.spawn(["setsid", "sh", "-c", "echo ready; sleep 1000"], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        host.kill()
        process.stdout.read()  # ends when the last process that holds the pipe has ended
    links = subprocess.run(["ip", "-brief", "link"], check=True, capture_output=True, text=True).stdout
    assert host.address not in links


def test_an_address_can_be_had_again_at_once(boot: Callable[..., Host]) -> None:
    boot(1).kill()
    assert boot(1).poll() is None


def test_a_host_that_can_not_boot_says_why(images: Images, mount_point: Path) -> None:
    with pytest.raises(OSError, match="does not boot"):
        Host("h1", "172.31.250.1", "/no/such/layer", mount_point=mount_point)


@pytest.fixture
def user_data_server() -> Iterator[Callable[..., str]]:
    """Serves IMDSv2 with the given user data, after breaking off so many answers; returns its URL."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def serve(user_data: str, failures: int = 0) -> str:
        broken = iter(range(failures))

        class Metadata(http.server.BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                self._answer("a token")

            def do_GET(self) -> None:
                if next(broken, None) is None:
                    self._answer(user_data if self.headers["X-aws-ec2-metadata-token"] == "a token" else "")

            def _answer(self, text: str) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer((CLOUD, 0), Metadata)
        servers.append(server)
        threading.Thread(target=server.serve_forever).start()
        return f"http://{CLOUD}:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def instance(images: Images, mount_point: Path) -> Iterator[Callable[[str, str], Host]]:
    """Boots an instance with user data and the URL of its metadata, and kills it afterwards."""
    hosts: list[Host] = []

    def boot_one(user_data: str, metadata: str) -> Host:
        machine = Machine(
            instance_id="i-1", instance_type="c5.xlarge", address="172.31.250.7", zone="us-east-2a",
            hostname="ip-172-31-250-7.us-east-2.compute.internal", vcpus=4, memory_mib=8192, disk_gib=20,
            user_data=user_data, image="", metadata=metadata,
        )  # fmt: skip
        hosts.append(NetnsLauncher(images.machine, mount_point).start(machine))
        return hosts[-1]

    yield boot_one
    for host in hosts:
        host.kill()


def test_an_instance_runs_its_user_data_as_root_on_the_hardware_of_its_type(
    instance: Callable[[str, str], Host], user_data_server: Callable[..., str]
) -> None:
    user_data = "#!/bin/sh\nid -un; hostname; condor_config_val NUM_CPUS MEMORY DISK; echo over\n"
    host = instance(user_data, user_data_server(user_data))
    assert eventually(lambda: "over\n" in host.console())
    hardware = ["4", str(int(8192 * 0.95)), str(20 * 1024 * 1024)]
    assert host.console().split() == ["root", "ip-172-31-250-7.us-east-2.compute.internal", *hardware, "over"]
    assert host.poll() is None


def test_an_instance_asks_again_for_user_data_that_it_did_not_get(
    instance: Callable[[str, str], Host], user_data_server: Callable[..., str]
) -> None:
    user_data = "#!/bin/sh\necho over\n"
    host = instance(user_data, user_data_server(user_data, failures=2))
    assert eventually(lambda: host.console().endswith("over\n"))


def test_an_ordinary_job_runs_at_the_site_with_its_files(pool: Pool) -> None:
    job = """
        executable = /bin/sh
        arguments = job.sh
        transfer_input_files = job.sh, in
        should_transfer_files = yes
        output = out
        queue
    """
    script = "tr a-z A-Z < in > upper; hostname; id -un"
    cluster = pool.submit("alice", job, {"job.sh": script, "in": "text"})
    pool.wait_for_job(cluster)
    assert pool.output(cluster, "upper") == "TEXT"
    assert pool.output(cluster, "out").split() == ["cm.pool.test", "alice"]


def test_a_refused_submit_tells_what_the_user_reads(pool: Pool) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        pool.submit("alice", "executable = /no/such/program\nqueue\n")
    assert "/no/such/program" in refusal.value.stderr


def test_the_central_manager_has_nothing_of_ours(pool: Pool) -> None:
    assert "annex" not in pool.cm.run(["condor_config_val", "-summary"]).stdout.lower()


def test_the_access_point_is_what_the_readme_installs(pool: Pool) -> None:
    assert "/etc/condor/config.d/51-annex-pool.config" in pool.ap.run(["condor_config_val", "-summary"]).stdout
