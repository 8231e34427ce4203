"""A host: a root, a name, an address and processes of its own, on the kernel and the bridge of the sandbox."""

import contextlib
import os
import signal
import subprocess
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rehearsal.sandbox import BRIDGE, CLOUD

_SETUP = Path(__file__).with_name("host.sh")
_POWEROFF = Path(__file__).with_name("poweroff.py")
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


class Host:
    """
    A running host; it ends when its init does, and takes every process with it.

    Usable from any thread. What it writes lives in memory and is gone with it.
    """

    def __init__(
        self,
        name: str,
        address: str,
        image: str,
        *,
        mount_point: Path,
        files: Mapping[str, str] | None = None,
        shares: Sequence[Path] = (),
        init: Sequence[str] = ("sleep", "infinity"),
    ) -> None:
        """
        Boot; init is about to start when this returns. A terminal's Ctrl-C doesn't reach it.

        Args:
            name: Its host name.
            address: IPv4, of its own in the bridge's network.
            image: The root's lower layers, as overlayfs takes them.
            mount_point: An empty folder; hosts can share one, each mounts there in a namespace of its own.
            files: Absolute path in the root to text, written before init starts.
            shares: Folders of the sandbox that it has too, at the same paths, read-only.
            init: What pid 1 supervises; its end is the host's.

        Raises:
            OSError: It can't be booted; nothing of it is left.
        """
        self.name = name
        self.address = address
        self._link = f"v{address}"
        self._console = os.memfd_create("console")
        weakref.finalize(self, os.close, self._console)
        namespaces = ["--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child"]
        shared = ":".join(str(share) for share in shares)
        setup = ["sh", str(_SETUP), str(_POWEROFF), str(mount_point), image, shared, name, *init]
        self._process = subprocess.Popen(
            ["unshare", *namespaces, "--", *setup],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._console, text=True, process_group=0,
        )  # fmt: skip
        assert self._process.stdin and self._process.stdout  # noqa: PT018, S101 - Popen was asked for both
        self._pid = 0
        try:
            with self._process.stdin, self._process.stdout as ready:  # init starts when its stdin is closed
                self._pid = int(ready.readline() or 0)
                if self._pid:
                    self._plug_in()
                    self.write("/etc/hosts", f"127.0.0.1 localhost\n{address} {name}\n")
                    for path, text in (files or {}).items():
                        self.write(path, text)
        except BaseException:
            self.kill()
            raise
        if not self._pid:
            self.kill()
            raise OSError(f"host {name} does not boot: {self.console().strip()}")

    def _plug_in(self) -> None:
        # By its address, so that whoever knew the host before it at this one finds this one.
        mac = ":".join(["02", "00", *(f"{int(part):02x}" for part in self.address.split("."))])
        outside = f"""\
            link add {self._link} type veth peer name eth0 address {mac} netns {self._pid}
            link set {self._link} master {BRIDGE} up
        """
        inside = f"""\
            link set lo up
            address add {self.address}/16 dev eth0
            link set eth0 up
            route add default via {CLOUD}
        """
        _ip(["ip", "-batch", "-"], outside)
        _ip(["nsenter", "--target", str(self._pid), "--net", "ip", "-batch", "-"], inside)

    def command(
        self,
        argv: Sequence[str],
        *,
        user: str = "root",
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> list[str]:
        """The command line which, run in the sandbox, runs *argv* in this host; killed, it takes *argv* with it."""
        home = self.home(user)
        settings = {**_ENVIRONMENT, "HOME": home, "USER": user, "LOGNAME": user, **(env or {})}
        return [
            "nsenter", "--target", str(self._pid), "--mount", "--pid", "--net", "--uts", "--ipc",
            "setpriv", "--reuid", user, "--regid", user, "--init-groups", "--pdeathsig", "KILL",
            "env", "-i", "-C", cwd or home, *(f"{name}={value}" for name, value in settings.items()),
            *argv,
        ]  # fmt: skip

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str = "root",
        input: str | None = None,  # noqa: A002 - as subprocess.run calls it
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        timeout: float = 60,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """
        Run a command in the host and wait for it.

        Raises:
            subprocess.CalledProcessError: It failed, and *check* is set; its stderr is in a note.
            subprocess.TimeoutExpired: It ran for more than *timeout* seconds, and was killed.
        """
        result = subprocess.run(
            self.command(argv, user=user, env=env, cwd=cwd),
            input=input or "", capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        if check and result.returncode:
            error = subprocess.CalledProcessError(result.returncode, list(argv), result.stdout, result.stderr)
            error.add_note(f"on {self.name} as {user}:\n{result.stdout}{result.stderr}")
            raise error
        return result

    def spawn(
        self,
        argv: Sequence[str],
        *,
        user: str = "root",
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        **streams: Any,
    ) -> subprocess.Popen[str]:
        """Start a command in the host; *streams* as subprocess.Popen takes them."""
        return subprocess.Popen(self.command(argv, user=user, env=env, cwd=cwd), text=True, **streams)

    def path(self, path: str) -> Path:
        """Where the sandbox sees an absolute path of this host; absolute symbolic links lead astray."""
        return Path(f"/proc/{self._pid}/root", path.lstrip("/"))

    def read(self, path: str) -> str:
        return self.path(path).read_text()

    def write(self, path: str, content: str | bytes, *, user: str = "root", mode: int = 0o644) -> None:
        """Write a file and the folders it needs, as that user's."""
        target = self.path(path)
        uid, gid, _ = self._account(user)
        for folder in reversed(target.parents):
            if not folder.exists():
                folder.mkdir()
                os.chown(folder, uid, gid)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        os.chown(target, uid, gid)
        target.chmod(mode)

    def home(self, user: str) -> str:
        return self._account(user)[2]

    def _account(self, user: str) -> tuple[int, int, str]:
        if user == "root":
            return 0, 0, "/root"
        for line in self.read("/etc/passwd").splitlines():
            name, _, uid, gid, _, home, _ = line.split(":")
            if name == user:
                return int(uid), int(gid), home
        raise KeyError(f"{self.name} has no user {user}")

    def cut_off(self) -> None:
        """Its cable is pulled: nothing more goes out or comes in. Its processes and connections stay."""
        _ip(["ip", "-batch", "-"], f"link set {self._link} down")

    def reconnect(self) -> None:
        """After cut_off(); nothing is done where it is connected."""
        _ip(["ip", "-batch", "-"], f"link set {self._link} up")

    def poll(self) -> int | None:
        """None while it runs; then 0 after a poweroff, 1 when it was killed, else init's exit status."""
        status = self._process.poll()
        return 0 if status == -signal.SIGINT else status  # the kernel's word for a poweroff in a pid namespace

    def console(self) -> str:
        """What init has printed; readable after the end too."""
        size = os.fstat(self._console).st_size
        return os.pread(self._console, size, 0).decode(errors="replace")

    def kill(self) -> None:
        """Power off at once; when this returns, no process and no interface of it is left."""
        if self._process.poll() is None and self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        elif self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        subprocess.run(["ip", "link", "delete", self._link], check=False, stderr=subprocess.DEVNULL)


def _ip(argv: Sequence[str], commands: str) -> None:
    result = subprocess.run(argv, input=commands, capture_output=True, text=True, check=False)
    if result.returncode:
        raise OSError(f"ip: {result.stderr.strip()}")
