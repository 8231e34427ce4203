"""Who asks on the socket, and for whose annex."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from annex_core.adapters.server import Peer
from annex_core.errors import Refused
from annex_core.model.audit import Who
from annex_core.model.names import ANYBODY, AnnexKey


@dataclass(frozen=True)
class Asker:
    """Whoever asks, by the kernel's word."""

    name: str
    uid: int
    administrator: bool

    @classmethod
    def of(cls, peer: Peer, administrators: Container[str]) -> "Asker":
        """
        Raises:
            Refused: Nobody has that uid.
        """
        if peer.name is None:
            raise Refused(f"uid {peer.uid} has no user name on this machine")
        return cls(peer.name, peer.uid, peer.uid == 0 or peer.name in administrators)

    @property
    def who(self) -> Who:
        return Who(self.name, self.uid)

    def key(self, asked: Mapping[str, Any], living: Container[AnnexKey] = ()) -> AnnexKey:
        """
        Args:
            living: An administrator who says nothing of an owner, and has no annex of that name among these, means the
                one for anybody's jobs.

        Raises:
            Refused: It is another's annex, or one for anybody's jobs.
        """
        owner = ANYBODY if asked.get("any_owner") else asked.get("owner") or self.name
        if owner != self.name and not self.administrator:
            raise Refused(f"only an administrator may do that to {AnnexKey(owner, asked['name']).spoken}")
        key = AnnexKey(owner, asked["name"])
        shared = AnnexKey(ANYBODY, key.name)
        unsaid = self.administrator and not asked.get("owner") and key not in living
        return shared if unsaid and shared in living else key
