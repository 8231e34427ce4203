"""
The boot script as a process, between a metadata service on loopback and an HTCondor that only pretends.

Never as root: it would power this machine off. What it does as root alone is shown by an instance that only believes to
be, where every program that needs root is a stand-in.
"""

import http.server
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from annex_core.bundle.build import ExecutionPoint, bundle, user_data
from annex_core.model.names import ANYBODY, AnnexKey
from annex_core.model.tags import stamp

NOBODY = 65534
HOUR = timedelta(hours=1)
ASKED = "last minute of the lease: jobs are asked to leave"
LEASE_TAG = "tags/instance/htcondor:LeaseEnds"


class Metadata(http.server.ThreadingHTTPServer):
    """IMDSv2 and the bundle, as the one instance of this test sees them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.bundle: bytes | None = None
        self.asked: list[str] = []
        self.items = {
            "instance-id": "i-0123456789abcdef0",
            "instance-type": "m7i-flex.large",
            "placement/availability-zone": "us-east-2a",
        }


class _Answer(http.server.BaseHTTPRequestHandler):
    server: Metadata

    def do_PUT(self) -> None:
        self._answer(b"imds-token" if self.path == "/latest/api/token" else None)

    def do_GET(self) -> None:
        name = self.path.removeprefix("/latest/meta-data/")
        item = self.server.items.get(name)
        self.server.asked.append(name)
        if self.path == "/bundle?signed=1&so=2":
            self._answer(self.server.bundle)
        elif self.headers.get("X-aws-ec2-metadata-token") == "imds-token" and item is not None:
            self._answer(item.encode())
        else:
            self._answer(None)

    def _answer(self, body: bytes | None) -> None:
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        pass


class Instance:
    """One boot, into a folder that stands for the machine."""

    def __init__(self, folder: Path, metadata: Metadata) -> None:
        self.folder = folder
        self.metadata = metadata
        self.config = folder / "config.d"
        self.process: subprocess.Popen[bytes] | None = None
        self.now = datetime.now(UTC)
        self.later = Path()
        """Where condor_master is once it is installed."""
        self.release = Path("/etc/os-release")
        self.pack()
        self.program("condor_config_val", f"echo /usr/share/condor/config.d, {self.config}")

    def pack(self, version: str | None = "23.9.6", owner: str = "alice") -> None:
        """The bundle that this instance finds."""
        annex = ExecutionPoint(
            key=AnnexKey(owner, "blue"),
            project="photons",
            route="aws",
            collector="ap.pool.test",
            trust_domain="pool.test",
            idle_timeout=timedelta(minutes=5),
            lease_ends=self.now + HOUR,
            hourly_prices={"m7i-flex.large": Decimal("0.0961")},
            version=version,
        )
        self.metadata.bundle = bundle(annex, token="the-token", config_dir={"70-site.config": b"SITE = 1\n"})

    def program(self, name: str, script: str) -> None:
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def pretend_root(self) -> Path:
        """Make the script believe that it is root; the folder whose programs cloud-init runs at each boot."""
        self.program("id", "echo 0")
        for name in ("ip", "iptables", "ip6tables", "nft"):
            self.program(name, "")
        self.program("setpriv", "exit 7")  # curl's status where nobody answers
        # A power-off ends all at once, and is tried by no other program here.
        self.program("systemctl", 'echo "systemctl $*"\n[ "$1" != poweroff ] || kill -KILL 0')
        self.program("poweroff", "kill -KILL 0")
        self.program("shutdown", "kill -KILL 0")
        scripts = self.folder / "cloud" / "scripts" / "per-boot"
        scripts.mkdir(parents=True)
        return scripts

    def boot(
        self,
        master: str | None,
        *,
        lease_ends: datetime | None = None,
        ends_at_latest: datetime | None = None,
        within: int = 300,
        metadata: str | None = None,
        carried: bool = False,
        warm_until: datetime | None = None,
    ) -> "Instance":
        """Run the script; *master* is what condor_master does here, as shell; None: there is none yet."""
        # Like a daemon of HTCondor, and unlike a shell, it doesn't care which signals it was started without.
        if master is not None:
            self.program("condor_master", f"exec env --default-signal {self.folder / 'bin' / 'master'}")
            self.program("master", f"trap '' HUP\necho stand-in runs\n{master}")
        text = user_data(
            source=(self.metadata.bundle or b"") if carried else f"{self.metadata.url}/bundle?signed=1&so=2",
            lease_ends=lease_ends or self.now + HOUR,
            ends_at_latest=ends_at_latest or self.now + 24 * HOUR,
            warm_until=warm_until,
        )
        script = self.folder / "user-data"
        text = text.replace("/var/lib/cloud", str(self.folder / "cloud"))
        # What the installation touches as root is this folder's.
        here = (
            f"s,/etc/os-release,{self.release},;s,/usr/sbin/policy,{self.folder}/policy,;s,/etc/apt,{self.folder}/apt,g"
        )
        text = text.replace(
            ' sh "$WORK/annex-boot', f' sed -i "{here}" "$WORK/annex-boot/install.sh"\n    sh "$WORK/annex-boot'
        )
        script.write_text(text.replace("BUNDLE_WITHIN=300\n", f"BUNDLE_WITHIN={within}\n"))
        someone = NOBODY if os.getuid() == 0 else None
        if someone:
            for path in [self.folder, *self.folder.rglob("*")]:
                os.chown(path, someone, someone)
        with self.console_file.open("wb") as console:
            self.process = subprocess.Popen(
                ["sh", str(script)],
                cwd=self.folder,
                env={
                    "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
                    "TMPDIR": str(self.folder),
                    "ANNEX_METADATA": metadata or self.metadata.url,
                },
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=someone,
                group=someone,
                extra_groups=[] if someone else None,
            )
        return self

    @property
    def console_file(self) -> Path:
        return self.folder / "console"

    def console(self) -> str:
        return self.console_file.read_text()

    def end(self, within: float) -> str:
        """Wait until the script has ended, which is a power-off where there is power; what it printed."""
        assert self.process
        self.process.wait(within)
        return self.console()

    def wait_for(self, what: Callable[[], bool], within: float = 15) -> None:
        end = time.monotonic() + within
        while not what():
            if time.monotonic() > end:
                raise TimeoutError(self.console())
            time.sleep(0.05)

    def survivors(self) -> list[str]:
        """Processes of this boot that stay, but a question to the metadata under way; its session is its own."""
        assert self.process
        command = ["ps", "-o", "stat=,args=", "-s", str(self.process.pid)]
        end = time.monotonic() + 10
        while True:
            ps = subprocess.run(command, capture_output=True, text=True, check=False)
            there = [line for line in ps.stdout.splitlines() if not line.startswith("Z")]
            if not there or time.monotonic() > end:
                return there
            time.sleep(0.1)


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    server = Metadata()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def instance(metadata: Metadata) -> Iterator[Instance]:
    folder = Path(tempfile.mkdtemp(prefix="annex-boot-"))  # pytest's own is closed to nobody
    made = Instance(folder, metadata)
    yield made
    if made.process:
        if made.process.poll() is None:
            os.killpg(made.process.pid, signal.SIGKILL)
        made.process.wait()
    shutil.rmtree(folder)


def test_when_the_master_ends_for_lack_of_work_so_does_the_instance(instance: Instance) -> None:
    said = instance.boot("exit 0").end(within=15)
    assert "powering off: condor_master has ended (status 0)" in said
    assert instance.survivors() == []


def test_a_master_that_crashes_ends_the_instance_too(instance: Instance) -> None:
    assert "condor_master has ended (status 44)" in instance.boot("exit 44").end(within=15)


def test_the_bundle_is_where_this_htcondor_reads_configuration_before_the_master_starts(instance: Instance) -> None:
    instance.boot("ls config.d").end(within=15)
    names = {"49ec2-instance.config", "60-annex.config", "70-site.config", "annex-tokens"}
    assert names <= set(instance.console().splitlines())


def test_the_token_can_be_read_by_its_owner_alone(instance: Instance) -> None:
    instance.boot("exit 0").end(within=15)
    modes = [(instance.config / path).stat().st_mode & 0o777 for path in ("annex-tokens", "annex-tokens/annex")]
    assert modes == [0o700, 0o600]


def test_the_slots_are_told_which_instance_they_are(instance: Instance) -> None:
    instance.boot("exit 0").end(within=15)
    assert (instance.config / "49ec2-instance.config").read_text().splitlines() == [
        'EC2InstanceID = "i-0123456789abcdef0"',
        'EC2InstanceType = "m7i-flex.large"',
        "STARTD_NAME = i-0123456789abcdef0",
        "AnnexHourlyPrice = $(AnnexPrice_m7i_flex_large)",
        f"AnnexTokens = {instance.config}/annex-tokens",
    ]


def test_without_its_bundle_it_ends_in_the_time_it_has_and_starts_nothing(instance: Instance) -> None:
    instance.metadata.bundle = None
    said = instance.boot("exec sleep 1000", within=1).end(within=20)
    assert "powering off: no bundle after 1 s" in said
    assert "stand-in runs" not in said


def test_a_bundle_that_comes_with_the_user_data_is_not_asked_for(instance: Instance) -> None:
    said = instance.boot("ls config.d", carried=True).end(within=15)
    assert "60-annex.config" in said.splitlines()
    assert not [each for each in instance.metadata.asked if each.startswith("/bundle")]
    assert "the-token" not in said


def test_a_bundle_that_is_no_archive_is_asked_for_again(instance: Instance) -> None:
    whole, instance.metadata.bundle = instance.metadata.bundle, b"<Error>SlowDown</Error>"
    instance.boot("exit 0")
    instance.wait_for(lambda: "not in gzip format" in instance.console())
    instance.metadata.bundle = whole
    assert "stand-in runs" in instance.end(within=20)


def test_an_item_of_metadata_that_does_not_come_is_asked_for_again(instance: Instance) -> None:
    kind = instance.metadata.items.pop("instance-type")
    instance.boot("exit 0")
    instance.wait_for(lambda: "instance-type" in instance.metadata.asked)
    instance.metadata.items["instance-type"] = kind
    assert "stand-in runs" in instance.end(within=20)


def test_a_step_that_fails_ends_the_instance(instance: Instance) -> None:
    instance.program("condor_config_val", "exit 1")
    said = instance.boot("exec sleep 1000").end(within=15)
    assert "a step of the boot script failed" in said
    assert "stand-in runs" not in said


def test_a_metadata_address_that_it_can_not_close_ends_it_before_the_master_starts(
    instance: Instance, metadata: Metadata
) -> None:
    elsewhere = metadata.url.replace("127.0.0.1", "localhost")
    said = instance.boot("exec sleep 1000", metadata=elsewhere).end(within=15)
    assert "powering off: only root can close the metadata address" in said
    assert "stand-in runs" not in said


def test_a_rehearsal_without_root_says_that_metadata_stays_open(instance: Instance) -> None:
    assert "metadata stays open" in instance.boot("exit 0").end(within=15)


def test_jobs_are_asked_to_leave_before_the_lease_ends(instance: Instance) -> None:
    said = instance.boot(
        "trap 'echo heard; kill $!; exit 0' TERM; sleep 1000 & wait", lease_ends=instance.now + timedelta(seconds=30)
    ).end(within=25)
    assert "heard\n" in said
    assert "condor_master has ended (status 0)" in said


def test_at_the_end_of_the_lease_a_master_that_does_not_listen_ends_all_the_same(instance: Instance) -> None:
    said = instance.boot("trap '' TERM QUIT; exec sleep 1000", lease_ends=instance.now + timedelta(seconds=8)).end(
        within=30
    )
    assert "the lease has ended" in said
    assert instance.survivors() == []


def test_a_lease_that_was_moved_nearer_by_its_tag_ends_then(instance: Instance) -> None:
    instance.metadata.items[LEASE_TAG] = stamp(instance.now + timedelta(seconds=4))
    assert "the lease has ended" in instance.boot("exec sleep 1000").end(within=20)


def test_a_lease_that_was_extended_by_its_tag_goes_on(instance: Instance) -> None:
    instance.metadata.items[LEASE_TAG] = stamp(instance.now + HOUR)
    said = instance.boot("sleep 8", lease_ends=instance.now + timedelta(seconds=4)).end(within=20)
    assert ASKED not in said
    assert "condor_master has ended (status 0)" in said


def test_no_tag_extends_a_lease_past_the_outer_bound(instance: Instance) -> None:
    instance.metadata.items[LEASE_TAG] = stamp(instance.now + HOUR)
    said = instance.boot("exec sleep 1000", ends_at_latest=instance.now + timedelta(seconds=4)).end(within=20)
    assert "the lease has ended" in said


@pytest.mark.parametrize("tag", ["", "soon", "2026-13-45T99:00:00Z", "2026-11-21"])
def test_a_lease_tag_that_is_no_moment_means_the_outer_bound(instance: Instance, tag: str) -> None:
    instance.metadata.items[LEASE_TAG] = tag
    instance.boot("exec sleep 1000", lease_ends=instance.now + HOUR, ends_at_latest=instance.now + 2 * HOUR)
    bound = int((instance.now + 2 * HOUR).timestamp())
    lease = instance.config / "61-annex-lease.config"
    instance.wait_for(
        lambda: lease.exists() and lease.read_text() == f"AnnexLeaseEnds = {bound}\nAnnexDraining = False\n"
    )


def test_a_lease_tag_that_disappears_leaves_the_last_one_seen_in_force(instance: Instance) -> None:
    instance.metadata.items[LEASE_TAG] = stamp(instance.now + timedelta(seconds=66))
    instance.boot("exec sleep 1000")
    instance.wait_for(lambda: "the lease is tagged" in instance.console())
    del instance.metadata.items[LEASE_TAG]
    assert ASKED in instance.end(within=20)


def test_the_slot_ad_follows_the_lease_by_a_reconfig_of_the_master(instance: Instance) -> None:
    ends = instance.now + 2 * HOUR
    instance.metadata.items[LEASE_TAG] = stamp(ends)
    instance.boot("trap 'cat config.d/61*' HUP; while :; do sleep 0.1; done")
    instance.wait_for(lambda: f"AnnexLeaseEnds = {int(ends.timestamp())}\n" in instance.console())


@pytest.mark.parametrize(("hours", "warm"), [(1, True), (-1, False)])
def test_a_machine_is_kept_ready_until_its_hours_end(instance: Instance, hours: int, warm: bool) -> None:
    instance.boot("trap 'cat config.d/61*' HUP; while :; do sleep 0.1; done", warm_until=instance.now + hours * HOUR)
    instance.wait_for(lambda: f"AnnexWarm = {warm}\n" in instance.console())


def test_a_machine_that_no_job_may_come_to_is_not_kept_ready(instance: Instance) -> None:
    instance.metadata.items["tags/instance/htcondor:Draining"] = stamp(instance.now)
    instance.boot("trap 'cat config.d/61*' HUP; while :; do sleep 0.1; done", warm_until=instance.now + HOUR)
    instance.wait_for(lambda: "AnnexDraining = True\nAnnexWarm = False\n" in instance.console())


def test_a_machine_that_was_asked_for_by_jobs_is_not_kept_ready(instance: Instance) -> None:
    instance.boot("trap 'cat config.d/61*' HUP; while :; do sleep 0.1; done")
    instance.wait_for(lambda: "AnnexDraining = False\n" in instance.console())
    assert "AnnexWarm" not in instance.console()


def test_once_the_annex_is_ended_by_hand_the_slot_ad_says_so(instance: Instance) -> None:
    instance.metadata.items["tags/instance/htcondor:Draining"] = stamp(instance.now)
    instance.boot("trap 'cat config.d/61*' HUP; while :; do sleep 0.1; done")
    instance.wait_for(lambda: "AnnexDraining = True\n" in instance.console())
    assert "powering off" not in instance.console()


class TestNotices:
    ACTION = "spot/instance-action"
    SHOW = "trap 'cat config.d/62*' HUP; while :; do sleep 0.1; done"

    def test_before_aws_says_anything_the_slot_ad_says_nothing_of_it(self, instance: Instance) -> None:
        instance.boot(self.SHOW)
        instance.wait_for(lambda: instance.metadata.asked.count(self.ACTION) > 1)
        assert not (instance.config / "62-annex-notice.config").exists()

    def test_when_aws_takes_the_machine_back_its_slots_say_so_at_once(self, instance: Instance) -> None:
        at = instance.now + timedelta(minutes=2)
        instance.boot(self.SHOW)
        instance.wait_for(lambda: self.ACTION in instance.metadata.asked)
        instance.metadata.items[self.ACTION] = json.dumps({"action": "terminate", "time": stamp(at)})
        instance.wait_for(lambda: "AnnexNoticedAt" in instance.console())
        assert f'AnnexInterruption = "terminate"\nAnnexInterruptionAt = {int(at.timestamp())}\n' in instance.console()
        assert "powering off" not in instance.console()

    def test_a_notice_that_comes_during_boot_is_in_the_configuration_that_the_master_reads(
        self, instance: Instance
    ) -> None:
        instance.metadata.items[self.ACTION] = '{"action" : "stop", "time" : "2026-11-21T08:30:00Z"}'
        instance.program("condor_config_val", f"sleep 1; echo /usr/share/condor/config.d, {instance.config}")
        instance.boot("until cat config.d/62*; do sleep 0.2; done; exec sleep 1000")
        instance.wait_for(lambda: 'AnnexInterruption = "stop"\nAnnexInterruptionAt = 1795249800' in instance.console())

    @pytest.mark.parametrize("said", ["terminate", '{"action": "terminate", "time": "soon"}', "{}"])
    def test_a_notice_without_a_moment_leaves_two_minutes(self, instance: Instance, said: str) -> None:
        instance.metadata.items[self.ACTION] = said
        instance.boot(self.SHOW)
        instance.wait_for(lambda: "AnnexNoticedAt" in instance.console())
        told = dict(line.split(" = ") for line in instance.console().splitlines() if line.startswith("Annex"))
        assert int(told["AnnexInterruptionAt"]) == int(told["AnnexNoticedAt"]) + 120

    def test_a_recommendation_to_move_is_told_and_nothing_more(self, instance: Instance) -> None:
        said = json.dumps({"noticeTime": stamp(instance.now)})
        instance.metadata.items["events/recommendations/rebalance"] = said
        instance.boot(self.SHOW)
        instance.wait_for(lambda: f"AnnexRebalanceAt = {int(instance.now.timestamp())}\n" in instance.console())
        assert "AnnexInterruption" not in instance.console()
        told = (instance.config / "62-annex-notice.config").stat().st_mtime_ns
        asked = instance.metadata.asked.count(self.ACTION)
        instance.wait_for(lambda: instance.metadata.asked.count(self.ACTION) > asked + 1)
        # HTCondor reads its configuration again for what it did not know alone.
        assert (instance.config / "62-annex-notice.config").stat().st_mtime_ns == told


def test_told_to_end_it_takes_the_master_along(instance: Instance) -> None:
    instance.boot("trap 'echo fast shutdown; kill $!; exit 0' QUIT; echo listening; sleep 1000 & wait")
    instance.wait_for(lambda: "listening" in instance.console())
    assert instance.process
    instance.process.terminate()
    assert "fast shutdown" in instance.end(within=15)


def test_no_secret_shows_in_the_arguments_of_a_process_or_on_the_console(instance: Instance) -> None:
    instance.program("curl", 'echo "curl $*" >&2; exec /usr/bin/curl "$@"')
    said = instance.boot("exit 0").end(within=15)
    assert "curl -fsS" in said
    assert "signed=1" not in said
    assert "the-token" not in said


def test_the_images_own_condor_is_stopped_before_the_annexs_starts(instance: Instance) -> None:
    instance.pretend_root()
    said = instance.boot("exit 0").end(within=15)
    assert said.index("systemctl stop condor") < said.index("stand-in runs")


def test_an_image_without_a_condor_of_its_own_has_nothing_stopped(instance: Instance) -> None:
    instance.pretend_root()
    instance.program("systemctl", '[ "$1" != stop ] || exit 5\necho "systemctl $*"\nkill -KILL 0')
    said = instance.boot("exit 0").end(within=15)
    assert "does not run" not in said
    assert "stand-in runs" in said


def test_the_images_own_annex_service_neither_goes_on_nor_starts_a_second_condor(instance: Instance) -> None:
    instance.pretend_root()
    said = instance.boot("exit 0").end(within=15)
    # The other way round, condor would start as soon as what it waits for has ended.
    assert said.index("systemctl stop condor\n") < said.index("systemctl stop condor-annex-ec2\n")
    assert said.index("own condor-annex-ec2 does not run") < said.index("stand-in runs")


class TestStockImages:
    """HTCondor and curl are stand-ins here; tests/pool/test_images.py boots images that really lack them."""

    @pytest.fixture
    def stock(self, instance: Instance) -> Instance:
        """An image without HTCondor, as root sees it; what its package manager is asked for is on the console."""
        instance.pretend_root()
        instance.program("systemctl", '[ "$1" != poweroff ] || kill -KILL 0')
        instance.later = instance.folder / "bin" / "condor_master"
        instance.release = instance.folder / "os-release"
        instance.program("apt-get", self.apt("condor", instance.later))
        instance.program("apt-cache", "echo '  Candidate: 23.9.6+dfsg-2.1'")
        instance.program("condor_version", "echo installed")
        instance.release.write_text('ID=debian\nVERSION_CODENAME=trixie\nVERSION_ID=13\nPRETTY_NAME="Debian 13"\n')
        return instance

    @staticmethod
    def apt(package: str, program: Path) -> str:
        return (
            f'echo "apt-get $*" >&2\ncase "$* " in *install*" {package} "*)\n'
            f"printf '#!/bin/sh\\necho stand-in runs\\n' >{program}; chmod 755 {program};;\nesac"
        )

    def test_htcondor_is_installed_where_it_lacks_and_started_as_ours(self, stock: Instance) -> None:
        said = stock.boot(None).end(within=20)
        assert "--no-install-recommends condor" in said
        assert said.index("HTCondor is installed, in ") < said.index("stand-in runs")

    def test_the_distributions_own_is_taken_only_if_it_is_of_the_access_points_series(self, stock: Instance) -> None:
        stock.program("apt-cache", "echo '  Candidate: 24.0.5'")
        stock.program("curl", 'case "$*" in */keys/*) echo "key: $*";; *) exec /usr/bin/curl "$@";; esac')
        said = stock.boot(None).end(within=20)
        assert "/repo/keys/HTCondor-23.x-Key" in said
        assert "HTCondor 23.x is not to be had for Debian 13" in said
        assert "powering off: HTCondor could not be installed" in said
        assert "stand-in runs" not in said

    def test_else_it_comes_from_htcondors_own_repository_under_its_key_alone(self, stock: Instance) -> None:
        listed = stock.folder / "apt" / "sources.list.d" / "htcondor.list"
        stock.program("apt-cache", f"[ -e {listed} ] && echo '  Candidate: 23.10.1-1' || echo '  Candidate: (none)'")
        stock.program("curl", 'case "$*" in */keys/*) ;; *) exec /usr/bin/curl "$@";; esac')
        assert "stand-in runs" in stock.boot(None).end(within=20)
        assert listed.read_text() == (
            f"deb [signed-by={stock.folder}/apt/keyrings/htcondor.asc]"
            " https://htcss-downloads.chtc.wisc.edu/repo/debian/23.x trixie main\n"
        )

    def test_amazon_linux_gets_it_from_htcondors_repository(self, stock: Instance) -> None:
        (stock.folder / "bin" / "apt-get").unlink()
        stock.release.write_text('ID=amzn\nID_LIKE=fedora\nVERSION_ID=2023\nPRETTY_NAME="Amazon Linux 2023"\n')
        stock.program("dnf", self.apt("condor", stock.later).replace("apt-get", "dnf"))
        said = stock.boot(None).end(within=20)
        assert "/repo/23.x/htcondor-release-current.amzn2023.noarch.rpm" in said
        assert "epel" not in said
        assert "stand-in runs" in said

    def test_the_rhel_family_gets_epel_first(self, stock: Instance) -> None:
        stock.release.write_text('ID=rocky\nID_LIKE="rhel fedora"\nVERSION_ID=9.4\nPRETTY_NAME="Rocky Linux 9.4"\n')
        stock.program("dnf", self.apt("condor", stock.later).replace("apt-get", "dnf"))
        stock.program("crb", 'echo "crb $*"')
        said = stock.boot(None).end(within=20)
        steps = ["install epel-release", "crb enable", "htcondor-release-current.el9.noarch.rpm", "install condor"]
        assert [said.index(step) for step in steps] == sorted(said.index(step) for step in steps)
        assert "stand-in runs" in said

    def test_a_system_that_it_does_not_know_is_named_and_ends(self, stock: Instance) -> None:
        stock.release.write_text('ID=plan9\nPRETTY_NAME="Plan 9"\n')
        said = stock.boot(None).end(within=20)
        assert "HTCondor can't be installed on Plan 9" in said
        assert "powering off: HTCondor could not be installed" in said

    def test_an_access_point_that_does_not_know_its_own_version_can_not_have_it_installed(
        self, stock: Instance
    ) -> None:
        stock.pack(version=None)
        assert "no word of which to install" in stock.boot(None).end(within=20)


def test_a_machine_that_ends_powers_off(instance: Instance) -> None:
    instance.pretend_root()
    said = instance.boot("exit 0").end(within=15)
    assert said.endswith("powering off: condor_master has ended (status 0)\nsystemctl poweroff\n")


@pytest.mark.parametrize("owner", [ANYBODY, "alice"])
def test_anybodys_jobs_get_an_account_for_each_slot(instance: Instance, owner: str) -> None:
    instance.pack(owner=owner)
    instance.pretend_root()
    instance.program("id", '[ "$1" = -u ] && echo 0')
    instance.program("useradd", 'echo "useradd $*"')
    instance.program("condor_config_val", f'[ "$1" = NUM_CPUS ] && echo 2 || echo {instance.config}')
    said = instance.boot("exit 0").end(within=15)
    own = (instance.config / "49ec2-instance.config").read_text()
    wanted = owner == ANYBODY
    assert ("SLOT1_1_USER = annex-slot1\nSLOT1_2_USER = annex-slot2\n" in own) is wanted
    assert ("/bin/false annex-slot2" in said) is wanted
    assert "SLOT1_3_USER" not in own


def test_from_its_first_boot_on_a_machine_is_set_to_power_off_at_the_next(instance: Instance) -> None:
    scripts = instance.pretend_root()
    instance.metadata.bundle = None
    instance.boot("exec sleep 1000", within=0).end(within=15)
    (script,) = scripts.iterdir()
    again = subprocess.run(
        [script],
        env={"PATH": str(instance.folder / "bin")},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        check=False,
    )
    assert again.stdout == "systemctl poweroff\n"


@pytest.mark.parametrize("status", [0, 28], ids=["it answers", "it may yet answer"])
def test_a_metadata_address_that_is_not_refused_to_jobs_ends_it_before_the_master_starts(
    instance: Instance, status: int
) -> None:
    instance.pretend_root()
    instance.program("setpriv", f"exit {status}")  # curl's, when asked as nobody
    said = instance.boot("exec sleep 1000").end(within=15)
    assert "powering off: the metadata address stays open to jobs" in said
    assert "stand-in runs" not in said
