"""The tags by which AWS tells us what is ours; AWS's tags are the truth, the journal is memory."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from annex_core.model.names import AnnexKey

PREFIX = "htcondor:"
PROJECT = PREFIX + "ProjectID"
NAME = PREFIX + "AnnexName"
OWNER = PREFIX + "Owner"
ROUTE = PREFIX + "Route"
POOL = PREFIX + "Pool"
ACCESS_POINT = PREFIX + "AccessPoint"
LEASE_ENDS = PREFIX + "LeaseEnds"
ENDS_AT_LATEST = PREFIX + "EndsAtLatest"
CLIENT_TOKEN = PREFIX + "ClientToken"
"""Of the launch, on instances that the launch itself tags: all but a Spot Fleet's, whose tags are the template's."""
PILOT = PREFIX + "Pilot"
"""Only on what brings its own pilot, with the value `true`: a daemon that has lost its journal must not wait for it."""
DRAINING = PREFIX + "Draining"
"""Since when a machine takes no new job, whatever for."""

METADATA_KEY = re.compile(r"(?!\.{1,2}$|_index$)[0-9A-Za-z\-_+=,.@:]{1,128}")
"""What a tag key must look like to be readable through instance metadata; one other key fails every launch."""


@dataclass(frozen=True)
class AnnexTags:
    """What every fleet request, instance, volume, launch template and bundle of an annex carries."""

    key: AnnexKey
    project: str
    route: str
    pool: str
    access_point: str
    lease_ends: datetime
    ends_at_latest: datetime
    extra: tuple[tuple[str, str], ...] = ()
    """The route's own AnnexTags, in their order."""
    pilot: bool = False

    def as_dict(self) -> dict[str, str]:
        pilot = {PILOT: "true"} if self.pilot else {}
        return {
            **dict(self.extra),
            **pilot,
            PROJECT: self.project,
            NAME: self.key.name,
            OWNER: self.key.owner,
            ROUTE: self.route,
            POOL: self.pool,
            ACCESS_POINT: self.access_point,
            LEASE_ENDS: stamp(self.lease_ends),
            ENDS_AT_LATEST: stamp(self.ends_at_latest),
        }


def stamp(moment: datetime) -> str:
    """UTC, ISO 8601, whole seconds: 2026-11-21T08:30:00Z."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def moment(tags: Mapping[str, str], key: str) -> datetime | None:
    """The moment that a tag names, or None where it is missing or unreadable."""
    try:
        found = datetime.fromisoformat(tags[key])
    except (KeyError, ValueError):
        return None
    return found if found.tzinfo else None


def key_of(tags: Mapping[str, str]) -> AnnexKey | None:
    """Whose annex a tagged thing belongs to, or None where the tags don't say."""
    owner, name = tags.get(OWNER), tags.get(NAME)
    return AnnexKey(owner, name) if owner and name else None
