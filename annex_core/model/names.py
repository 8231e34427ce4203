"""What an annex is called: by its users, by AWS, and by the collector that its slots join."""

import hashlib
import re
from dataclasses import dataclass

ANNEX_NAME = re.compile(r"[A-Za-z0-9-]{1,37}")
"""No dot, so that annex-OWNER.NAME can't mean two owners; no underscore, which ends the annex id in a token."""

ANYBODY = "+anybody"
"""The owner of an annex that runs anybody's jobs: no user's name may begin so. config.d and the bundle know it, too."""

_ID_LENGTH = 31
_DIGEST_LENGTH = 10


@dataclass(frozen=True, order=True)
class AnnexKey:
    """Two owners' annexes of one name are two annexes."""

    owner: str
    name: str

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def shared(self) -> bool:
        """Its slots run anybody's jobs that name it."""
        return self.owner == ANYBODY

    @property
    def spoken(self) -> str:
        """In a sentence."""
        return f"annex {self.name} for anybody's jobs" if self.shared else f"annex {self.name} of {self.owner}"

    def identity(self, domain: str) -> str:
        """The identity of this annex's IDTOKEN, as the collector stamps it: annex-OWNER.NAME@DOMAIN."""
        return f"annex-{self.owner}.{self.name}@{domain}"


def misnamed(name: str) -> str | None:
    """The sentence for whoever asks for an annex that can't be called so; None where it can."""
    if ANNEX_NAME.fullmatch(name):
        return None
    return f"No annex can be called {name[:60]!r}: 1 to 37 letters, digits and dashes."


def annex_id(key: AnnexKey, *, access_point: str) -> str:
    """
    The annex's name at AWS.

    Returns:
        At most 31 characters of a-z, 0-9 and dash: as much of the name as fits, and a digest of access point,
        owner and exact name, so that no two annexes share one and none is a prefix of another's whole id.

    Source:
        The length is what HTCondor's condor-annex-ec2 boot service can take of a client token.
    """
    digest = hashlib.sha256("\0".join((access_point, key.owner, key.name)).encode()).hexdigest()[:_DIGEST_LENGTH]
    room = _ID_LENGTH - 1 - _DIGEST_LENGTH
    return f"{key.name.lower()[:room].strip('-') or 'annex'}-{digest}"


def client_token(annex: str, unique: str) -> str:
    """
    ANNEXID_UNIQUE, at most 64 characters: images with condor-annex-ec2 find their bundle by the part before `_`.

    Args:
        annex: An annex id.
        unique: Up to 32 characters, none of them an underscore.
    """
    token = f"{annex}_{unique}"
    if "_" in unique or len(token) > 64:
        raise ValueError(f"not a client token: {token!r}")
    return token


def bundle_key(annex: str) -> str:
    """The S3 key of an annex's bundle; condor-annex-ec2 expects exactly this."""
    return f"config-{annex}.tar.gz"
