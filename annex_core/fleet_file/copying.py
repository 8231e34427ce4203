"""Another's launch template, as much of it as the annex's own may hold."""

from annex_core.errors import BadRequest
from annex_core.fleet_file import tagging
from annex_core.fleet_file.launching import Specification, check_volumes, decoded, interfaces
from annex_core.fleet_file.shape import Json
from annex_core.fleet_file.treatment import KEPT, TEMPLATE


def copied(specification: Specification, found: Json) -> tuple[Specification, tuple[str, ...]]:
    """
    Args:
        specification: One that names a template.
        found: That template's data, as DescribeLaunchTemplateVersions tells it.

    Returns:
        The specification with the template's data in it, and a sentence for each attribute that was changed.

    Raises:
        BadRequest: Something of it would defeat the lease or can't be kept; the sentence names it.
    """
    source = specification.source
    where = f"launch template {source.template}: " if source else ""
    wrong: list[str] = []
    notes: list[str] = []
    for name in found:
        fate = TEMPLATE.get(name, "refused: condor-annex doesn't know it yet")
        if fate.startswith("refused: "):
            wrong.append(f"{where}{name}: {fate.removeprefix('refused: ')}")
        elif name in {"InstanceInitiatedShutdownBehavior", "MetadataOptions"} and found[name] != "terminate":
            notes.append(f"{where}{name}: {fate}")
    wrong += [
        f"{where}{name}: true would keep instances from being ended; say false"
        for name in ("DisableApiTermination", "DisableApiStop")
        if found.get(name)
    ]
    if found.get("HibernationOptions", {}).get("Configured"):
        wrong.append(f"{where}HibernationOptions: a hibernated instance would escape the lease")
    check_volumes(where, found, wrong, notes)
    interfaces(where, found.get("NetworkInterfaces", []), wrong)
    wrong += tagging.refused(f"{where}TagSpecifications", found.get("TagSpecifications", []), tagging.INSTANCE)
    user_data = decoded(f"{where}UserData", found.get("UserData"), wrong)
    if wrong:
        raise BadRequest("; ".join(wrong))
    data = {name: value for name, value in found.items() if TEMPLATE[name] == KEPT}
    return Specification(data, user_data, source, specification.pools), tuple(notes)
