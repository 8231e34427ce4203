"""
An ordinary HTCondor pool, as a site has it before it hears of annexes, and our access point in it.

The central manager cm knows nothing of ours. The access point ap boots from the image where the README's lines were
run; beside them it has only what any site writes: names, keys, users, and here shorter intervals.
"""

import json
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from rehearsal.host import Host
from rehearsal.image import Images

T = TypeVar("T")

DOMAIN = "pool.test"
ADDRESSES = {"cm": "172.31.240.2", "ap": "172.31.240.3"}
SITE_NAMES = "".join(f"{address} {name}.{DOMAIN} {name}\n" for name, address in ADDRESSES.items())
"""The site's part of everybody's /etc/hosts."""
USERS = ("alice", "bob")
ADMIN = "admin"
"""An ordinary account whom the pool's QUEUE_SUPER_USERS and ALLOW_ADMINISTRATOR name."""

PATIENCE_S = 150.0
"""Of whoever waits for what must come: only a failure takes this long, and a busy machine is no failure."""

SITE_INTERVALS = """\
# What takes minutes in a site's pool takes seconds in this one.
MASTER_BACKOFF_CONSTANT = 1
NEGOTIATOR_INTERVAL = 3
NEGOTIATOR_MIN_INTERVAL = 1
NEGOTIATOR_CYCLE_DELAY = 1
NEGOTIATOR_UPDATE_INTERVAL = 3
SCHEDD_INTERVAL = 3
SCHEDD_MIN_INTERVAL = 1
UPDATE_INTERVAL = 5
# On a busy machine the 20 s of HTCondor's own are over before the schedd has had its turn.
SEC_DEFAULT_AUTHENTICATION_TIMEOUT = 45
"""

_SITE = f"""\
CONDOR_HOST = cm.{DOMAIN}
UID_DOMAIN = {DOMAIN}
TRUST_DOMAIN = {DOMAIN}
ALLOW_ADMINISTRATOR = $(ALLOW_ADMINISTRATOR), {ADMIN}@{DOMAIN}
QUEUE_SUPER_USERS = root, condor, {ADMIN}
"""

_CENTRAL_MANAGER = """\
use role:get_htcondor_central_manager
DAEMON_LIST = $(DAEMON_LIST) STARTD
use policy:always_run_jobs
NUM_CPUS = 2
MEMORY = 2048
NUM_SLOTS_TYPE_1 = 2
SLOT_TYPE_1 = cpus=1, memory=1024
SLOT_TYPE_1_PARTITIONABLE = False
RUNBENCHMARKS = False
"""

_ACCESS_POINT = """\
use role:get_htcondor_submit
"""

_NOT_REACHED = "Failed to connect to local queue manager"

_CREDENTIALS = "/etc/condor/annex-credentials"
ANNEX_INTERVALS = """\
ANNEXD_INTERVAL = 5
JOB_ROUTER_POLLING_PERIOD = 2
ANNEX_NEGOTIATOR.NEGOTIATOR_INTERVAL = 3
ANNEX_NEGOTIATOR.NEGOTIATOR_CYCLE_DELAY = 1
# Tests' jobs look alike, and last a second here and an hour there: what one test teaches would mislead the next.
ANNEXD_LEARN_RUN_TIMES = False
"""


class Pool:
    """
    A pool with one central manager, which has two slots for ordinary jobs, and one access point.

    Everything about jobs is asked by HTCondor's own commands on the access point.
    """

    ap: Host
    cm: Host
    users: tuple[str, str] = USERS
    """Who submits jobs."""

    def __init__(self, images: Images, mount_point: Path) -> None:
        self._images = images
        self._mount_point = mount_point
        self._folders: dict[int, str] = {}
        self._hosts: list[Host] = []

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Boot both hosts and start their daemons."""
        self.cm = self._boot("cm", self._images.machine, _CENTRAL_MANAGER)
        self.ap = self._boot("ap", self._images.access_point, _ACCESS_POINT)
        rehearsed = f"ANNEXD_CREDENTIALS = {_CREDENTIALS}\n{ANNEX_INTERVALS}"
        self.ap.write("/etc/condor/config.d/99-rehearsal.config", rehearsed)
        keys = "[default]\naws_access_key_id = rehearsal\naws_secret_access_key = rehearsal\n"
        self.ap.write(_CREDENTIALS, keys, user="condor", mode=0o600)
        for account in (*USERS, ADMIN):
            for host in self._hosts:
                host.run(["useradd", "--create-home", "--shell", "/bin/bash", account])
        self._share_key()
        for host in self._hosts:
            host.run(["condor_master"])

    def stop(self) -> None:
        """Power off; nothing of the pool remains."""
        while self._hosts:
            self._hosts.pop().kill()

    def wait_ready(self, timeout: float = PATIENCE_S) -> None:
        """
        Until the pool takes jobs: cm has its slots, ap its schedd, router, annex pool and daemon.

        Args:
            timeout: Seconds, for each of them.

        Raises:
            TimeoutError: It doesn't; the message says what is missing, a note what the access point has logged.
        """
        annexes = self.knob("ANNEX_COLLECTOR_HOST")
        annexd_listens = ["test", "-S", self.knob("ANNEXD_SOCKET")]
        router = 'MyType == "Job_Router"'
        try:
            self.wait_for(lambda: len(self.slots()) == 2, "two slots at the central manager", timeout)
            self.wait_for(lambda: self.ads("-schedd"), "the schedd at the central manager", timeout)
            self.wait_for(lambda: self.ads("-schedd", annexes), "the schedd in the annex pool", timeout)
            self.wait_for(lambda: self.ads("-negotiator", annexes), "the annex pool's negotiator", timeout)
            self.wait_for(lambda: self.ads("-any", constraint=router), "the job router", timeout)
            self.wait_for(lambda: not self.ap.run(annexd_listens, check=False).returncode, "condor_annexd", timeout)
        except TimeoutError as error:
            for name, end in self.logs().items():
                error.add_note(f"{name}:\n{end}")
            raise

    def logs(self) -> dict[str, str]:
        """The last lines of the access point's logs that tell most, by name."""
        names = ("AnnexdLog", "MasterLog", "SchedLog", "JobRouterLog", "AnnexNegotiatorLog")
        folder = self.knob("LOG")
        return {name: self.ap.run(["tail", "-n", "60", f"{folder}/{name}"], check=False).stdout for name in names}

    def knob(self, name: str) -> str:
        """A configuration macro's value on the access point."""
        return self.ap.run(["condor_config_val", name]).stdout.strip()

    def submit(
        self,
        user: str,
        text: str,
        files: Mapping[str, str] | None = None,
        command: Sequence[str] = ("condor_submit",),
    ) -> int:
        """
        Submit as that user on the access point, in a new folder of the user's.

        Args:
            text: The submit file, job.sub.
            files: Name to content, in the same folder.
            command: What submits, with its options; -terse and the submit file are added.

        Returns:
            The cluster's id; its folder is folder(cluster).

        Raises:
            subprocess.CalledProcessError: It was refused; stderr is what the user reads.
        """
        folder = f"{self.ap.home(user)}/submit-{len(self._folders)}-{secrets.token_hex(3)}"
        for name, content in {**(files or {}), "job.sub": text}.items():
            self.ap.write(f"{folder}/{name}", content, user=user)
        submit = partial(self.ap.run, [*command, "-terse", "job.sub"], user=user, cwd=folder)
        try:
            answer = submit()
        except subprocess.CalledProcessError as error:
            if _NOT_REACHED not in error.stderr:
                raise
            answer = submit()  # nothing was queued, for the schedd has not heard of it
        found = re.search(r"^(\d+)\.\d+ - ", answer.stdout, re.MULTILINE)
        if not found:
            raise ValueError(f"no cluster in what {command[0]} printed: {answer.stdout}{answer.stderr}")
        cluster = int(found[1])
        self._folders[cluster] = folder
        return cluster

    def folder(self, cluster: int) -> str:
        """The folder on the access point that this cluster was submitted from."""
        return self._folders[cluster]

    def output(self, cluster: int, name: str) -> str:
        """A file in that folder."""
        return self.ap.read(f"{self.folder(cluster)}/{name}")

    def jobs(self, constraint: str = "true") -> list[dict[str, Any]]:
        """The queue's job ads."""
        return self._json("condor_q", "-allusers", "-constraint", constraint, "-json")

    def history(self, constraint: str = "true") -> list[dict[str, Any]]:
        """Ads of jobs that have left the queue, newest first."""
        return self._json("condor_history", "-constraint", constraint, "-json")

    def slots(self, collector: str | None = None) -> list[dict[str, Any]]:
        """Slot ads, of the site's collector or of another one."""
        return self.ads("-any", collector, 'MyType == "Machine"')

    def ads(self, kind: str, collector: str | None = None, constraint: str = "true") -> list[dict[str, Any]]:
        """Ads of one kind (-schedd, -negotiator, -any, ...) that a collector holds; none while it doesn't answer."""
        where = ["-pool", collector] if collector else []
        return self._json("condor_status", kind, *where, "-constraint", constraint, "-json", check=False)

    def wait_for_job(self, cluster: int, timeout: float = PATIENCE_S) -> list[dict[str, Any]]:
        """
        Until the cluster has left the queue; its ads from the history.

        Raises:
            TimeoutError: It hasn't; the message has the jobs' states and reasons.
        """
        constraint = f"ClusterId == {cluster}"
        try:
            self.wait_for(lambda: not self.jobs(constraint), f"the end of cluster {cluster}", timeout)
        except TimeoutError as error:
            for job in self.jobs(constraint):
                told = {name: job.get(name) for name in ("JobStatus", "HoldReason", "AnnexStatus", "Requirements")}
                error.add_note(f"{cluster}.{job.get('ProcId')}: {told}")
            raise
        return self.wait_for(lambda: self.history(constraint), f"the history of cluster {cluster}", timeout)

    def wait_for(self, predicate: Callable[[], T], what: str, timeout: float = PATIENCE_S) -> T:
        """
        Ask again and again until the answer is true in Python's sense.

        A command that fails on the way counts as no answer: on a busy machine HTCondor's own time out now and then.

        Args:
            what: What is waited for, as a noun.
            timeout: Seconds.

        Raises:
            TimeoutError: It never was.
        """
        end = time.monotonic() + timeout
        while True:
            failure = None
            try:
                answer = predicate()
            except subprocess.CalledProcessError as error:
                failure = error
            else:
                if answer:
                    return answer
            if time.monotonic() > end:
                raise TimeoutError(f"waited {timeout:g} s for {what}") from failure
            time.sleep(0.2)

    def _boot(self, name: str, image: str, role: str) -> Host:
        files = {
            "/etc/hosts": f"127.0.0.1 localhost\n{SITE_NAMES}",
            "/etc/condor/config.d/20-site.config": _SITE + SITE_INTERVALS,
            "/etc/condor/config.d/10-role.config": role,
        }
        host = Host(f"{name}.{DOMAIN}", ADDRESSES[name], image, mount_point=self._mount_point, files=files)
        self._hosts.append(host)
        return host

    def _share_key(self) -> None:
        """The pool's signing key, and the token by which its daemons know one another."""
        key, token = "/etc/condor/passwords.d/POOL", f"/etc/condor/tokens.d/condor@{DOMAIN}"
        for host in self._hosts:
            host.run(["install", "-d", "-m", "700", "/etc/condor/passwords.d", "/etc/condor/tokens.d"])
        self.cm.run(["condor_store_cred", "add", "-c", "-f", key], input=secrets.token_urlsafe(48))
        secret = self.cm.path(key).read_bytes()
        self.ap.write(key, secret, mode=0o600)
        made = self.cm.run(["condor_token_create", "-identity", f"condor@{DOMAIN}"]).stdout
        for host in self._hosts:
            host.write(token, made, mode=0o600)

    def _json(self, *command: str, check: bool = True) -> list[dict[str, Any]]:
        answer: subprocess.CompletedProcess[str] = self.ap.run(command, check=check)
        ads: list[dict[str, Any]] = json.loads(answer.stdout or "[]")
        return ads
