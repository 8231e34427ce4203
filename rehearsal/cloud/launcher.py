"""What the local cloud needs of whoever boots its instances."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Machine:
    """An instance as its launcher sees it: everything that a boot needs, nothing of AWS's API."""

    instance_id: str
    instance_type: str
    address: str
    """The private IPv4 address that EC2 gave it, in its subnet."""
    zone: str
    hostname: str
    """EC2's private name for that address: ip-172-31-0-9.us-east-2.compute.internal."""
    vcpus: int
    memory_mib: int
    disk_gib: int
    """Of the root volume."""
    user_data: str
    """Plain text, decoded; empty where the launch gave none."""
    image: str
    """The name of the AMI, behind `condor-annex-rehearsal`; empty for the ordinary one."""
    metadata: str
    """Where this machine finds its metadata service: http://169.254.169.254, or an address of its own."""


class Handle(Protocol):
    """A machine that was started; all three may be called from any thread, also after its end."""

    def poll(self) -> int | None:
        """
        None while it runs, then its exit status.

        However it ends, the instance ends with it: terminated, or stopped where its launch asked for that.
        """
        ...

    def kill(self) -> None:
        """Power off at once and leave nothing behind; on a machine that has ended, only clean up."""
        ...

    def console(self) -> str:
        """What the machine has printed so far."""
        ...


class Launcher(Protocol):
    def start(self, machine: Machine) -> Handle:
        """
        Boot; returns as soon as the machine is on its way.

        Raises:
            OSError: It can't be booted: the instance is terminated as Server.InternalError.
        """
        ...
