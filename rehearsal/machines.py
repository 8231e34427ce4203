"""Instances of the local cloud as hosts: what rehearsal.cloud.launcher asks for, on the bridge of the sandbox."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from rehearsal.cloud.launcher import Machine
from rehearsal.host import Host
from rehearsal.image import Images
from rehearsal.pool import SITE_NAMES
from rehearsal.sandbox import CLOUD, METADATA

_INIT = Path(__file__).with_name("instance.py")
_INIT_INSIDE = "/usr/local/libexec/cloud-init"

_MEMORY_SEEN = 0.95
"""Of the memory in the price list, what an operating system finds on an instance: firmware and kernel keep a part."""


class NetnsLauncher:
    """
    A host for each instance, at its own EC2 address.

    Args:
        image: The root of machines, as overlayfs takes it for lowerdir=.
        others: The same by Machine.image, for machines of other images.
    """

    def __init__(self, image: str, mount_point: Path, others: Mapping[str, str] | None = None) -> None:
        self._images = {**(others or {}), "": image}
        self._mount_point = mount_point

    def start(self, machine: Machine) -> Host:
        """Boot, in some 40 ms; see rehearsal.cloud.launcher."""
        own_name = f"{machine.address} {machine.hostname} {machine.hostname.partition('.')[0]}\n"
        files = {
            "/etc/hosts": f"127.0.0.1 localhost\n{own_name}{SITE_NAMES}",
            "/etc/condor/config.d/00-hardware.config": _hardware(machine),
            _INIT_INSIDE: _INIT.read_text(),
        }
        # Real instances bring CPUs of their own: these must not starve the pool of the ones that all share.
        init = ["nice", "python3", "-IS", _INIT_INSIDE, machine.metadata]
        image = self._images[machine.image]
        return Host(machine.hostname, machine.address, image, mount_point=self._mount_point, files=files, init=init)


def _hardware(machine: Machine) -> str:
    """What HTCondor would detect on the real instance, where here it would find the machine that rehearses."""
    return f"""\
NUM_CPUS = {machine.vcpus}
MEMORY = {int(machine.memory_mib * _MEMORY_SEEN)}
DISK = {machine.disk_gib * 1024 * 1024}
# Each start would measure the CPU that all instances share.
RUNBENCHMARKS = False
"""


@contextlib.contextmanager
def cloud_process(*options: str) -> Iterator[str]:
    """The local cloud in a process of its own; options as `python -m rehearsal.cloud` takes them; yields its URL."""
    command = [sys.executable, "-m", "rehearsal.cloud", *options]
    # Out of reach of a terminal's Ctrl-C: whoever is interrupted may have things to end in the cloud first.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0) as process:
        assert process.stdout  # noqa: S101 - Popen was asked for it
        try:
            said = process.stdout.readline()
            if not said.startswith("local cloud at "):
                raise OSError("the local cloud does not start")
            yield said.removeprefix("local cloud at ").strip()
        finally:
            process.terminate()
            process.wait()  # until its machines are gone: after a Ctrl-C, the end of the block would not


@contextlib.contextmanager
def local_cloud(images: Images, mount_point: Path, *options: str) -> Iterator[str]:
    """The local cloud, booting hosts on the bridge; yields the URL of its API."""
    where = ["--bind", f"{CLOUD}:4566", "--metadata", f"{METADATA}:80"]
    boots = ["--launcher", "netns", "--image", images.machine, "--mount-point", str(mount_point)]
    boots += ["--other-images", *(f"{name}={lower}" for name, lower in images.others().items())]
    with cloud_process(*where, *boots, *options) as url:
        yield url
