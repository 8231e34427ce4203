"""
The roots that hosts boot from, made once and kept.

Three layers, each over the one before: *base* is Debian with HTCondor, what an instance boots from; *deps* holds the
installed Python dependencies; *site* is what the README's own lines add on an access point.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehearsal import narration, sandbox
from rehearsal.cache import Cache, key

CHECKOUT = Path(__file__).resolve().parent.parent
_RECIPE = Path(__file__).read_text()
"""This file is part of every key: whoever changes how an image is made gets a new one."""

_SUITE = "trixie"
_SUITE_PYTHON = "3.13"
_PACKAGES = (
    "ca-certificates", "condor", "curl", "iproute2", "iptables", "less", "nano", "procps", "python3", "python3-venv",
    "tini", "util-linux",
)  # fmt: skip
_TOOLS = {"debootstrap": "debootstrap", "ip": "iproute2"}
"""What this machine may lack: program to Debian package."""
_INSTALLED_FROM = (
    "annex_core", "config.d", "pyproject.toml", "README.md", "router_hooks", "schemas", "submit_hooks",
)  # fmt: skip
_README_LINES = re.compile(r"<!-- install -->\s*```\w*\n(.*?)```", re.DOTALL)

_MACHINE, _ACCESS_POINT = "REHEARSAL_MACHINE_IMAGE", "REHEARSAL_ACCESS_POINT_IMAGE"


class ImageError(Exception):
    """An image can't be made; the sentence says what a person can do."""


@dataclass(frozen=True)
class Images:
    """What overlayfs takes as lowerdir=, uppermost first."""

    machine: str
    """Of a cloud instance, and of any machine that has HTCondor and nothing of ours."""
    access_point: str

    @classmethod
    def from_environment(cls) -> "Images | None":
        """Those that the sandbox was entered with; None outside of it."""
        try:
            return cls(os.environ[_MACHINE], os.environ[_ACCESS_POINT])
        except KeyError:
            return None

    def to_environment(self) -> None:
        os.environ[_MACHINE] = self.machine
        os.environ[_ACCESS_POINT] = self.access_point


@dataclass(frozen=True)
class _Keys:
    base: str
    wheels: str
    deps: str
    site: str


def find(cache: Cache) -> Images | None:
    """The images for the sources as they are now, held for as long as this process lives; None if one is missing."""
    keys = _keys()
    layers = [cache.path("site", keys.site), cache.path("deps", keys.deps), cache.path("base", keys.base)]
    if not all(cache.hold(layer) for layer in layers):
        return None
    site, deps, base = (str(layer / "root") for layer in layers)
    return Images(machine=base, access_point=f"{site}:{deps}:{base}")


def build(cache: Cache) -> None:
    """
    Make what is missing; for a process in mount and pid namespaces of its own, which undo what it mounts.

    Raises:
        ImageError: A step failed; its last words were printed.
    """
    with cache.lock(when_busy=lambda: _say("waiting for another run that builds images")):
        keys = _keys()
        base = cache.build("base", keys.base, _make_base) / "root"
        wheels = cache.build("wheels", keys.wheels, _make_wheels)
        deps = cache.build("deps", keys.deps, lambda entry: _make_deps(entry, base, wheels)) / "root"
        cache.build("site", keys.site, lambda entry: _make_site(entry, f"{deps}:{base}", wheels))


def install_lines() -> list[str]:
    """The commands that the README tells an administrator to type."""
    found = _README_LINES.search((CHECKOUT / "README.md").read_text())
    if not found:
        raise ImageError("README.md has no fenced block after an <!-- install --> mark")
    return found[1].splitlines()


def _keys() -> _Keys:
    base = key(_RECIPE, os.uname().machine)
    wheels = key(_SUITE_PYTHON, os.uname().machine, *_dependencies(), *_build_requirements())
    deps = key(base, wheels)
    return _Keys(base, wheels, deps, key(deps, *install_lines(), *_source_parts()))


def _dependencies() -> list[str]:
    dependencies: list[str] = _pyproject()["project"]["dependencies"]
    return dependencies


def _build_requirements() -> list[str]:
    requirements: list[str] = _pyproject()["build-system"]["requires"]
    return requirements


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text())


def _source_parts() -> Iterator[str]:
    for name in _INSTALLED_FROM:
        top = CHECKOUT / name
        for file in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if file.is_file() and "__pycache__" not in file.parts:
                yield f"{file.relative_to(CHECKOUT)} {os.access(file, os.X_OK)}"
                yield file.read_bytes().hex()


def _make_base(entry: Path) -> None:
    root = entry / "root"
    _install_tools(entry)
    _say(f"making a Debian {_SUITE} root (about half a minute)")
    _step(entry, ["debootstrap", "--variant=minbase", _SUITE, str(root)])
    (root / "etc/dpkg/dpkg.cfg.d/no-sync").write_text("force-unsafe-io\n")
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")  # no service starts while packages are unpacked
    policy.chmod(0o755)
    _say("installing HTCondor into it")
    _mount_kernel(root)
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    _chroot(entry, ["apt-get", "update"], quiet)
    _chroot(entry, ["apt-get", "install", "--yes", "--no-install-recommends", *_PACKAGES], quiet)
    _chroot(entry, ["apt-get", "clean"])


def _install_tools(entry: Path) -> None:
    missing = [package for program, package in _TOOLS.items() if not shutil.which(program)]
    if not missing:
        return
    names = " ".join(missing)
    if not shutil.which("apt-get"):
        raise ImageError(f"the rehearsal needs {names}: install that, or run this on Debian or Ubuntu")
    _say(f"installing on this machine: apt-get install {names}")
    _step(entry, ["apt-get", "update"])
    _step(entry, ["apt-get", "install", "--yes", "--no-install-recommends", *missing])


def _make_wheels(entry: Path) -> None:
    _say("downloading the Python packages that the access point needs")
    target = ["--python-version", _SUITE_PYTHON, "--only-binary", ":all:"]
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(entry), *target]
    _step(entry, [*download, *_dependencies(), *_build_requirements()])


def _make_deps(entry: Path, base: Path, wheels: Path) -> None:
    # Only so that a changed line of source doesn't cost the installation of boto3 again: the README's own lines run
    # over this layer, unchanged, and find their dependencies already there.
    _say("installing the Python dependencies")
    _mount_layer(entry, str(base), wheels)
    _chroot(entry, ["python3", "-m", "venv", "/opt/condor-annex"])
    _chroot(entry, ["/opt/condor-annex/bin/pip", "install", "--quiet", *_dependencies()], _PIP)
    shutil.rmtree(entry / "work", ignore_errors=True)


def _make_site(entry: Path, lower: str, wheels: Path) -> None:
    *lines, last = install_lines()
    if last != "condor_restart":
        raise ImageError("the README's last line of installation is not condor_restart")
    _mount_layer(entry, lower, wheels)
    for line in lines:  # nothing runs yet that could be restarted: hosts start their daemons when they boot
        _say(f"on the access point: {line}")
        _chroot(entry, ["bash", "-c", f"cd /mnt && {line}"], _PIP)


_PIP = {
    "PIP_NO_INDEX": "1",
    "PIP_FIND_LINKS": "/media",
    "PIP_NO_CACHE_DIR": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
}


def _mount_layer(entry: Path, lower: str, wheels: Path) -> None:
    """Mount *lower* where _chroot looks, writing to the entry's root; the checkout and the wheels read-only in it."""
    upper, work, merged = entry / "root", entry / "work", entry / "merged"
    for folder in (upper, work, merged):
        folder.mkdir()
    _mount("-t", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={work}", "overlay", merged)
    _mount_kernel(merged)
    _mount("-t", "tmpfs", "tmpfs", merged / "tmp")
    _mount("-o", "bind,ro", CHECKOUT, merged / "mnt")
    _mount("-o", "bind,ro", wheels, merged / "media")


def _mount_kernel(root: Path) -> None:
    _mount("-t", "proc", "proc", root / "proc")
    _mount("-t", "sysfs", "-o", "ro", "sysfs", root / "sys")


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _chroot(entry: Path, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    merged = entry / "merged"
    root = merged if merged.exists() else entry / "root"
    settings = [f"{name}={value}" for name, value in (environment or {}).items()]
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    proxies = [f"{name}={value}" for name, value in os.environ.items() if name.lower().endswith("_proxy")]
    _step(entry, ["chroot", str(root), "env", "-i", path, "HOME=/root", "LC_ALL=C.UTF-8", *proxies, *settings, *argv])


def _step(entry: Path, argv: Sequence[str]) -> None:
    log = entry / "log"
    with log.open("a") as file:
        result = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False)
    if result.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        raise ImageError(f"{tail}\nfailed with status {result.returncode}: {' '.join(argv)}")


def _say(what: str) -> None:
    narration.say(what, to=sys.stderr)


if __name__ == "__main__":
    try:
        sandbox.admit()
        build(Cache.of_user())
    except ImageError as error:
        sys.exit(f"rehearsal: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
