"""
The roots that hosts boot from, made once and kept.

Layers, each over the one before: *bare* is Debian with what its own cloud image has; *base* adds HTCondor, what an
instance boots from; *deps* holds the installed Python dependencies; *site* is what the README's own lines add on an
access point. *service*, over base, is an image of HTCondor's own for annexes, with condor-annex-ec2. *mirror* is no
root: it holds the packages that base was made of, as an apt repository for bare.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from rehearsal import narration, sandbox
from rehearsal.cache import Cache, key

CHECKOUT = Path(__file__).resolve().parent.parent
_RECIPE = Path(__file__).read_text()
"""This file is part of every key: whoever changes how an image is made gets a new one."""

_SUITE = "trixie"
_SUITE_PYTHON = "3.13"
_BARE_PACKAGES = ("ca-certificates", "iproute2", "procps", "python3", "tini")
"""What Debian's cloud image has of its own (cloud-init is a Python program), but for tini, our stand-in for systemd."""
_PACKAGES = ("condor", "curl", "iptables", "less", "nano", "python3-venv")
_SERVICE_PACKAGES = ("awscli", "condor-annex-ec2")
MIRROR = "http://172.31.240.1:8081/debian"
"""Where a bare machine's apt looks; who tests with one serves the mirror there."""
_TOOLS = {"debootstrap": "debootstrap", "ip": "iproute2"}
"""What this machine may lack: program to Debian package."""
_INSTALLED_FROM = (
    "annex_core", "config.d", "pyproject.toml", "README.md", "router_hooks", "schemas", "submit_hooks",
)  # fmt: skip
_README_LINES = re.compile(r"<!-- install -->\s*```\w*\n(.*?)```", re.DOTALL)

_VARIABLE = "REHEARSAL_{}_IMAGE"


class ImageError(Exception):
    """An image can't be made; the sentence says what a person can do."""


@dataclass(frozen=True)
class Images:
    """What overlayfs takes as lowerdir=, uppermost first."""

    machine: str
    """Of a cloud instance, and of any machine that has HTCondor and nothing of ours."""
    access_point: str
    bare: str
    """Of a machine with neither HTCondor nor curl."""
    service: str
    """Of a machine that HTCondor's own boot service configures."""
    mirror: str
    """No root: an apt repository with the packages that *machine* has and *bare* lacks."""

    @classmethod
    def from_environment(cls) -> "Images | None":
        """Those that the sandbox was entered with; None outside of it."""
        try:
            return cls(**{each.name: os.environ[_VARIABLE.format(each.name.upper())] for each in fields(cls)})
        except KeyError:
            return None

    def to_environment(self) -> None:
        os.environ.update({_VARIABLE.format(name.upper()): value for name, value in vars(self).items()})

    def others(self) -> dict[str, str]:
        """What a cloud has beside *machine*, by name."""
        return {"bare": self.bare, "service": self.service}


@dataclass(frozen=True)
class _Keys:
    bare: str
    base: str
    service: str
    wheels: str
    deps: str
    site: str


def find(cache: Cache) -> Images | None:
    """The images for the sources as they are now, held for as long as this process lives; None if one is missing."""
    entries = {kind: cache.path(kind, key) for kind, key in vars(_keys()).items()}
    if not all(cache.hold(entry) for kind, entry in entries.items() if kind != "wheels"):
        return None
    roots = {kind: str(entry / "root") for kind, entry in entries.items()}
    machine = f"{roots['base']}:{roots['bare']}"
    return Images(
        machine=machine,
        access_point=f"{roots['site']}:{roots['deps']}:{machine}",
        bare=roots["bare"],
        service=f"{roots['service']}:{machine}",
        mirror=str(entries["base"] / "mirror"),
    )


def build(cache: Cache) -> None:
    """
    Make what is missing; for a process in mount and pid namespaces of its own, which undo what it mounts.

    Raises:
        ImageError: A step failed; its last words were printed.
    """
    with cache.lock(when_busy=lambda: _say("waiting for another run that builds images")):
        keys = _keys()
        bare = cache.build("bare", keys.bare, _make_bare) / "root"
        base = cache.build("base", keys.base, lambda entry: _make_base(entry, bare)) / "root"
        machine = f"{base}:{bare}"
        cache.build("service", keys.service, lambda entry: _make_service(entry, machine))
        wheels = cache.build("wheels", keys.wheels, _make_wheels)
        deps = cache.build("deps", keys.deps, lambda entry: _make_deps(entry, machine, wheels)) / "root"
        cache.build("site", keys.site, lambda entry: _make_site(entry, f"{deps}:{machine}", wheels))


def install_lines() -> list[str]:
    """The commands that the README tells an administrator to type."""
    found = _README_LINES.search((CHECKOUT / "README.md").read_text())
    if not found:
        raise ImageError("README.md has no fenced block after an <!-- install --> mark")
    return found[1].splitlines()


def _keys() -> _Keys:
    bare = key(_RECIPE, os.uname().machine)
    base = key(bare, *_PACKAGES)
    wheels = key(_SUITE_PYTHON, os.uname().machine, *_dependencies(), *_build_requirements())
    deps = key(base, wheels)
    site = key(deps, *install_lines(), *_source_parts())
    return _Keys(bare, base, key(base, *_SERVICE_PACKAGES), wheels, deps, site)


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


def _make_bare(entry: Path) -> None:
    root = entry / "root"
    _install_tools(entry)
    _say(f"making a Debian {_SUITE} root (about half a minute)")
    _step(entry, ["debootstrap", "--variant=minbase", f"--include={','.join(_BARE_PACKAGES)}", _SUITE, str(root)])
    (root / "etc/dpkg/dpkg.cfg.d/no-sync").write_text("force-unsafe-io\n")
    _chroot(entry, ["apt-get", "clean"])
    (root / "etc/apt/sources.list").write_text(f"deb [trusted=yes] {MIRROR} ./\n")


def _make_base(entry: Path, bare: Path) -> None:
    _mount_layer(entry, str(bare))
    root = entry / "merged"
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")  # no service starts while packages are unpacked
    policy.chmod(0o755)
    (root / "etc/apt/sources.list").write_text(f"deb http://deb.debian.org/debian {_SUITE} main\n")
    _say("installing HTCondor into it")
    _apt_install(entry, _PACKAGES)
    mirror = entry / "mirror"
    mirror.mkdir()
    for package in sorted((root / "var/cache/apt/archives").glob("*.deb")):
        shutil.move(package, mirror)
    (mirror / "Packages").write_text("\n".join(map(_index_entry, sorted(mirror.glob("*.deb")))))
    _chroot(entry, ["apt-get", "clean"])


def _index_entry(package: Path) -> str:
    """What an apt repository's Packages says of one file."""
    control = subprocess.run(["dpkg-deb", "--field", package], capture_output=True, text=True, check=True).stdout
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    return f"{control.rstrip()}\nFilename: ./{package.name}\nSize: {package.stat().st_size}\nSHA256: {digest}\n"


def _make_service(entry: Path, lower: str) -> None:
    """As AWS's CLI reaches AWS by itself, here it is told where the local cloud is."""
    _mount_layer(entry, lower)
    _say("making an image that HTCondor's own annex service configures")
    _apt_install(entry, _SERVICE_PACKAGES)
    _chroot(entry, ["apt-get", "clean"])
    config = entry / "merged/root/.aws/config"
    config.parent.mkdir()
    config.write_text(f"[default]\nendpoint_url = http://{sandbox.CLOUD}:4566\n")


def _apt_install(entry: Path, packages: Sequence[str]) -> None:
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    _chroot(entry, ["apt-get", "update"], quiet)
    _chroot(entry, ["apt-get", "install", "--yes", "--no-install-recommends", *packages], quiet)


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


def _make_deps(entry: Path, lower: str, wheels: Path) -> None:
    # Only so that a changed line of source doesn't cost the installation of boto3 again: the README's own lines run
    # over this layer, unchanged, and find their dependencies already there.
    _say("installing the Python dependencies")
    _mount_layer(entry, lower, wheels)
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


def _mount_layer(entry: Path, lower: str, wheels: Path | None = None) -> None:
    """Mount *lower* where _chroot looks, writing to the entry's root; with wheels these and the checkout, read-only."""
    upper, work, merged = entry / "root", entry / "work", entry / "merged"
    for folder in (upper, work, merged):
        folder.mkdir()
    _mount("-t", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={work}", "overlay", merged)
    _mount_kernel(merged)
    _mount("-t", "tmpfs", "tmpfs", merged / "tmp")
    if wheels:
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
