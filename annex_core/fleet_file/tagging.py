"""Tags of a user's own: what may be a key, and what AWS takes them for."""

from collections.abc import Iterable, Iterator, Mapping

from annex_core.fleet_file.shape import Json
from annex_core.model.tags import METADATA_KEY, PREFIX

FLEET = frozenset({"spot-fleet-request"})
INSTANCE = frozenset({"instance", "volume"})
_LONGEST_VALUE = 256


def bad_tag(key: str, value: str) -> str | None:
    """The sentence for whoever wants a tag that can't be had; None where it can."""
    if key.lower().startswith("aws:"):
        return f"tag {key!r}: AWS keeps keys that start with aws: for itself"
    if key.startswith(PREFIX):
        return f"tag {key!r}: keys that start with {PREFIX} are the annex's own"
    if not METADATA_KEY.fullmatch(key):
        return (
            f"tag {key[:60]!r}: instances read their tags from instance metadata, where a key holds letters, digits"
            " and -_+=,.@: alone, 128 at most; one other key would make every launch fail"
        )
    if len(value) > _LONGEST_VALUE:
        return f"tag {key!r}: a value of {len(value)} characters; AWS takes {_LONGEST_VALUE}"
    return None


def refused(where: str, specifications: Iterable[Json], types: frozenset[str]) -> Iterator[str]:
    """
    Sentences about TagSpecifications that can't be kept.

    Args:
        types: The resource types that may be tagged here.
    """
    for specification in specifications:
        kind = specification.get("ResourceType")
        if kind not in types:
            yield f"{where}: {kind} can't be tagged here, {' and '.join(sorted(types))} can"
        for tag in specification.get("Tags", []):
            wrong = bad_tag(tag.get("Key", ""), tag.get("Value", ""))
            if wrong:
                yield f"{where}: {wrong}"


def of(specifications: Iterable[Json], kind: str) -> Mapping[str, str]:
    """The tags for one resource type."""
    return {
        tag["Key"]: tag.get("Value", "")
        for specification in specifications
        if specification.get("ResourceType") == kind
        for tag in specification.get("Tags", [])
    }
