"""Who is at a collector's address. Pure."""

from dataclasses import dataclass
from enum import Enum

from annex_core.connectivity.addresses import Address


class Verdict(Enum):
    COLLECTOR = "a collector answers"
    OTHER_POOL = "a collector of another pool answers"
    NO_COLLECTOR = "something listens there that is no collector"
    NO_SUCH_NAME = "its name has no address"
    REFUSED = "nothing listens at that port"
    SILENT = "nothing answers"
    UNREACHABLE = "there is no way to it"


@dataclass(frozen=True)
class Answer:
    address: Address
    verdict: Verdict
    reached: str | None = None
    """The IP address that the verdict is about; None where there is none."""
    trust_domain: str | None = None
    version: str | None = None
    """HTCondor's, such as 23.9.6."""

    @property
    def good(self) -> bool:
        return self.verdict is Verdict.COLLECTOR
