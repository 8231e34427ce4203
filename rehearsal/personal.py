"""
The stage of somebody who is not root: the HTCondor on the PATH, as a personal pool.

No namespaces: one user, whose annexes differ by name; daemons and instances are processes of that user's, each
instance with folders of its own. The configuration of annexes is the checkout's, as it would be installed; only what
names a path or an address is this pool's own.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rehearsal.cloud import process_tree
from rehearsal.control import CloudControl
from rehearsal.host import Host
from rehearsal.image import CHECKOUT, Images
from rehearsal.machines import cloud_process
from rehearsal.pool import ANNEX_INTERVALS, SITE_INTERVALS, Pool
from rehearsal.sandbox import CLOUD
from rehearsal.stage import Stage, stage

_DIRECTORIES = ("BIN", "SBIN", "LIB", "LIBEXEC", "SHARE")
"""Where the installed HTCondor has its parts, in its own words."""

_ROOM = """\
LOG = $(LOCAL_DIR)/log
SPOOL = $(LOCAL_DIR)/spool
EXECUTE = $(LOCAL_DIR)/execute
LOCK = $(LOCAL_DIR)/lock
RUN = $(LOCAL_DIR)/run
LOCAL_CONFIG_DIR = $(LOCAL_DIR)/config.d
LOCAL_CONFIG_FILE =
NETWORK_INTERFACE = 127.0.0.1
RUNBENCHMARKS = False
"""

_SITE = """\
use role:CentralManager
use role:Submit
use role:Execute
use security:recommended_v9_0
CONDOR_HOST = 127.0.0.1
COLLECTOR_HOST = 127.0.0.1:{collector}
SHARED_PORT_PORT = {collector}
UID_DOMAIN = {domain}
TRUST_DOMAIN = {domain}
ALLOW_WRITE = *
ALLOW_DAEMON = $(ALLOW_DAEMON), {user}@*
ALLOW_NEGOTIATOR = {user}@*
ALLOW_ADMINISTRATOR = {user}@*
SEC_PASSWORD_DIRECTORY = $(LOCAL_DIR)/passwords.d
SEC_TOKEN_DIRECTORY = $(LOCAL_DIR)/tokens.d
SEC_TOKEN_SYSTEM_DIRECTORY = $(LOCAL_DIR)/tokens.d
use policy:always_run_jobs
NUM_CPUS = 2
MEMORY = 2048
NUM_SLOTS_TYPE_1 = 2
SLOT_TYPE_1 = cpus=1, memory=1024
SLOT_TYPE_1_PARTITIONABLE = False
"""

_REHEARSED = """\
ANNEX_PREFIX = $(LOCAL_DIR)/prefix
ANNEX_COLLECTOR_PORT = {annexes}
ANNEX_COLLECTOR_HOST = 127.0.0.1:{annexes}
ANNEXD_CREDENTIALS = $(LOCAL_DIR)/credentials
"""

_INSTANCE = """\
LOCAL_DIR = $(MACHINE_DIR)
SHARED_PORT_PORT = 0
MASTER_NAME = $(MACHINE_ID)
NUM_CPUS = $(MACHINE_CPUS)
MEMORY = $(MACHINE_MEMORY)
"""


def is_possible() -> bool:
    """There is an HTCondor on the PATH, and it knows its own configuration."""
    try:
        return bool(shutil.which("condor_master") and _installed())
    except (OSError, subprocess.CalledProcessError):
        return False


class Here(Host):
    """This machine, as its user: what a Host is to others, without a boot and without an end."""

    def __init__(self, folder: Path) -> None:
        self.name = socket.gethostname()
        self.address = "127.0.0.1"
        self._folder = folder
        self._user = pwd.getpwuid(os.getuid()).pw_name

    def command(
        self,
        argv: Sequence[str],
        *,
        user: str = "",  # noqa: ARG002 - there is one
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> list[str]:
        home = self._folder / "home"
        settings = {"HOME": str(home), "CONDOR_CONFIG": str(self._folder / "condor_config"), **(env or {})}
        assignments = [f"{name}={value}" for name, value in settings.items()]
        return ["setpriv", "--pdeathsig", "KILL", "env", "-C", cwd or str(home), *assignments, *argv]

    def path(self, path: str) -> Path:
        return Path(path)

    def _account(self, user: str) -> tuple[int, int, str]:  # noqa: ARG002
        return os.getuid(), os.getgid(), str(self._folder / "home")


class PersonalPool(Pool):
    """
    Everything in one HTCondor, whose configuration and state live in *folder*.

    Args:
        cloud: ADDRESS:PORT of the local cloud's API.
    """

    def __init__(self, folder: Path, cloud: str) -> None:
        self._folder = folder
        self._cloud = cloud
        self._folders = {}
        self.ap = self.cm = Here(folder)
        me = pwd.getpwuid(os.getuid()).pw_name
        self.users = (me, me)

    def start(self) -> None:
        self._folder.mkdir()
        for name in ("config.d", "execute", "home", "lock", "log", "passwords.d", "run", "spool", "tokens.d"):
            (self._folder / name).mkdir(mode=0o700 if name.endswith("s.d") else 0o755)
        self._install()
        config = f"{_installed()}LOCAL_DIR = {self._folder}\n{_ROOM}"
        (self._folder / "condor_config").write_text(config)
        ports = dict(zip(("collector", "annexes"), _free_ports(2), strict=True))
        site = _SITE.format(domain="personal.test", user=self.users[0], **ports)
        (self._folder / "config.d/10-site.config").write_text(site + SITE_INTERVALS)
        rehearsed = _REHEARSED.format(**ports) + ANNEX_INTERVALS
        (self._folder / "config.d/99-rehearsal.config").write_text(rehearsed)
        keys = "[default]\naws_access_key_id = rehearsal\naws_secret_access_key = rehearsal\n"
        self.ap.write(str(self._folder / "credentials"), keys, mode=0o600)
        tree = [sys.executable, "-IS", process_tree.__file__, "condor_master", "-f"]
        self._master = subprocess.Popen(self.ap.command(tree), start_new_session=True)

    def stop(self) -> None:
        if hasattr(self, "_master"):
            self._master.send_signal(signal.SIGTERM)
            self._master.wait()

    def _install(self) -> None:
        """What the README's lines do, for one user: links into the checkout, so that it is always what it is now."""
        prefix = self._folder / "prefix"
        parts = {
            "bin": Path(sys.prefix, "bin"),
            "libexec/condor-annex": CHECKOUT / "router_hooks",
            "share/condor-annex/config.d": CHECKOUT / "config.d",
            "share/condor-annex/profile.d": CHECKOUT / "submit_hooks/profile.d",
        }
        for name, target in parts.items():
            (prefix / name).parent.mkdir(parents=True, exist_ok=True)
            (prefix / name).symlink_to(target)
        for snippet in sorted((CHECKOUT / "config.d").glob("5*.config")):
            (self._folder / "config.d" / snippet.name).symlink_to(snippet)
        route = "60-annex-route-rehearsal.config"
        text = (CHECKOUT / "config.d" / route).read_text()
        (self._folder / "config.d" / route).write_text(text.replace(f"{CLOUD}:4566", self._cloud))
        commands = self._folder / "home/bin"
        commands.mkdir()
        for name in ("condor_annex", "condor_submit_annex"):
            (commands / name).symlink_to(prefix / "bin" / name)
        profile = f"PATH={commands}:{os.environ['PATH']}\nexport CONDOR_ANNEX_PREFIX={prefix}\n"
        profile += f"for file in {prefix}/share/condor-annex/profile.d/*.sh; do . $file; done\n"
        (self._folder / "home/.bash_profile").write_text(profile)


@contextlib.contextmanager
def personal_stage(*cloud_options: str) -> Iterator[Stage]:
    """Both running and ready, in a temporary folder; gone at the end. Options as stage() takes them."""
    with tempfile.TemporaryDirectory(prefix="annex-") as temporary:
        folder = Path(temporary)
        template = folder / "instance"
        template.write_text(_installed() + _INSTANCE + _ROOM)
        api, metadata = (f"127.0.0.1:{port}" for port in _free_ports(2))
        where = ["--bind", api, "--metadata", metadata]
        boots = ["--launcher", "process", "--machines", str(folder / "m"), "--condor-config", str(template)]
        with cloud_process(*where, *boots, *cloud_options) as url, PersonalPool(folder / "pool", api) as pool:
            yield Stage(pool, CloudControl(url))


def a_stage(*cloud_options: str) -> contextlib.AbstractContextManager[Stage]:
    """The stage that this process can have: with hosts in the sandbox, else the personal one."""
    images = Images.from_environment()
    return stage(images, *cloud_options) if images else personal_stage(*cloud_options)


def _installed() -> str:
    """The lines that say where the HTCondor on the PATH is."""
    asked = subprocess.run(["condor_config_val", *_DIRECTORIES], capture_output=True, text=True, check=True)
    values = asked.stdout.splitlines()
    return "".join(f"{name} = {value}\n" for name, value in zip(_DIRECTORIES, values, strict=True))


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
