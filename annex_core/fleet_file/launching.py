"""What a configuration says of instances, as launch templates and overrides say it."""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from annex_core.fleet_file import tagging
from annex_core.fleet_file.shape import Json
from annex_core.fleet_file.treatment import KEPT, OVERRIDE, SPECIFICATION, named


@dataclass(frozen=True)
class Source:
    """Another's launch template that is to be copied into ours."""

    template: str
    """An id, lt-..., or a name."""
    version: str
    """A number, $Latest or $Default."""


@dataclass(frozen=True)
class Pool:
    """One launch override: a type where it may be launched, what it counts for and costs at most."""

    instance_type: str
    weight: Decimal
    subnet: str | None
    place: tuple[tuple[str, Any], ...]
    """AvailabilityZone, AvailabilityZoneId and Priority, as far as they are given."""
    max_price: Decimal | None
    """USD an hour that one instance may cost: SpotPrice is for a unit of weight. None where none is given."""


@dataclass(frozen=True)
class Specification:
    """What some instances have in common: one version of the annex's launch template, and its overrides."""

    data: Json = field(hash=False)
    """Attributes of a launch template, laid over ours; no user data."""
    user_data: str | None
    source: Source | None
    pools: tuple[Pool, ...]


def specifications(
    found: Iterable[Json], dearest: str | None, wrong: list[str], notes: list[str]
) -> tuple[Specification, ...]:
    """
    LaunchSpecifications, those that differ in no more than type, place, weight and price as one.

    Args:
        dearest: The configuration's own SpotPrice, for those that have none.
        wrong: Gets a sentence for each attribute that can't be kept.
        notes: Gets one for each that was changed.
    """
    by_data: dict[str, tuple[Json, str | None, list[Pool]]] = {}
    for i, each in enumerate(found):
        where = f"LaunchSpecifications[{i}]."
        wrong += named(where, each, SPECIFICATION)
        data = _template_data(where, each, wrong, notes)
        user_data = decoded(f"{where}UserData", each.get("UserData"), wrong)
        alike = json.dumps([data, each.get("UserData")], sort_keys=True)
        place = each.get("Placement", {})
        zones = _listed(place.get("AvailabilityZone")) or [None]
        subnets = _listed(each.get("SubnetId")) or [None]
        pools = [
            pool(where, each | {"SubnetId": subnet, "AvailabilityZone": zone} | _zone_id(place), dearest, wrong)
            for subnet in subnets
            for zone in zones
        ]
        by_data.setdefault(alike, (data, user_data, []))[2].extend(each for each in pools if each)
    return tuple(Specification(data, user_data, None, tuple(pools)) for data, user_data, pools in by_data.values())


def templates(found: Iterable[Json], dearest: str | None, wrong: list[str]) -> tuple[Specification, ...]:
    """LaunchTemplateConfigs: each a template to copy, and its overrides."""
    made = []
    for i, each in enumerate(found):
        where = f"LaunchTemplateConfigs[{i}]."
        named_template = each.get("LaunchTemplateSpecification", {})
        name = named_template.get("LaunchTemplateId") or named_template.get("LaunchTemplateName")
        overrides = each.get("Overrides", [])
        if not name:
            wrong.append(f"{where}LaunchTemplateSpecification: it names no template")
        if not overrides:
            wrong.append(f"{where}Overrides: none; name the instance types there, so that prices can be looked up")
        pools = []
        for j, override in enumerate(overrides):
            at = f"{where}Overrides[{j}]."
            wrong += named(at, override, OVERRIDE)
            pools.append(pool(at, override, dearest, wrong))
        source = Source(name or "", named_template.get("Version", "$Default"))
        made.append(Specification({}, None, source, tuple(each for each in pools if each)))
    return tuple(made)


def pool(where: str, found: Json, dearest: str | None, wrong: list[str]) -> Pool | None:
    """None where it names no type, which is *wrong*."""
    if "InstanceType" not in found:
        if "InstanceRequirements" not in found:
            wrong.append(f"{where}InstanceType: missing")
        return None
    weight = Decimal(str(found.get("WeightedCapacity", 1)))
    if weight <= 0:
        wrong.append(f"{where}WeightedCapacity: {weight}; it has to be above 0")
    weight = max(weight, Decimal("0.001"))
    price = amount(f"{where}SpotPrice", found.get("SpotPrice", dearest), wrong)
    place = tuple(
        (name, found[name]) for name in ("AvailabilityZone", "AvailabilityZoneId", "Priority") if found.get(name)
    )
    if price is not None:
        price *= max(weight, Decimal(1))  # of an instance that is less than a unit, the bound for one holds
    return Pool(found["InstanceType"], weight, found.get("SubnetId"), place, price)


def amount(where: str, text: str | None, wrong: list[str]) -> Decimal | None:
    """A price in USD; None where none is given."""
    if text is None:
        return None
    price = Decimal(text) if text.replace(".", "", 1).isdigit() and text.isascii() else Decimal(0)
    if price <= 0:
        wrong.append(f"{where}: {text!r} is no price; it takes USD an hour, such as 0.05")
        return None
    return price


def decoded(where: str, text: str | None, wrong: list[str]) -> str | None:
    """User data out of its base64."""
    if text is None:
        return None
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except UnicodeDecodeError:
        wrong.append(f"{where}: not text in UTF-8; give it unpacked")
    except (binascii.Error, ValueError):
        wrong.append(f"{where}: not base64")
    return None


def lasting(where: str, mappings: Iterable[Json], wrong: list[str]) -> None:
    """Volumes that would outlive their instance, and with it the lease."""
    for i, each in enumerate(mappings):
        if each.get("Ebs", {}).get("DeleteOnTermination") is False:
            wrong.append(
                f"{where}BlockDeviceMappings[{i}].Ebs.DeleteOnTermination: false would leave a volume behind"
                " that costs money after the lease; say true"
            )


def interfaces(where: str, found: Iterable[Json], wrong: list[str]) -> None:
    for i, each in enumerate(found):
        at = f"{where}NetworkInterfaces[{i}]."
        if "NetworkInterfaceId" in each:
            wrong.append(f"{at}NetworkInterfaceId: an interface that is there already can't be many instances'")
        if each.get("DeleteOnTermination") is False:
            wrong.append(f"{at}DeleteOnTermination: false would leave an interface behind; say true")


def _template_data(where: str, found: Json, wrong: list[str], notes: list[str]) -> Json:
    """A launch specification without type, place, weight, price and user data, in a launch template's words."""
    data = {name: value for name, value in found.items() if SPECIFICATION.get(name) == KEPT}
    if "RamdiskId" in found:
        data["RamDiskId"] = found["RamdiskId"]
    place = {name: value for name, value in found.get("Placement", {}).items() if not name.startswith("Availability")}
    if place:
        data["Placement"] = place
    data |= _groups(where, found.get("SecurityGroups", []), wrong)
    if found.get("ImageId", "").startswith("resolve:"):
        wrong.append(f"{where}ImageId: Spot Fleet takes an AMI such as ami-0123456789abcdef0 alone")
    check_volumes(where, data, wrong, notes)
    if "NetworkInterfaces" in data:
        data["NetworkInterfaces"] = [dict(each) for each in data["NetworkInterfaces"]]
        interfaces(where, data["NetworkInterfaces"], wrong)
        for i, each in enumerate(data["NetworkInterfaces"]):
            for address in each.get("Ipv6Addresses", []):
                if "IsPrimaryIpv6" in address:
                    at = f"{where}NetworkInterfaces[{i}].Ipv6Addresses.IsPrimaryIpv6"
                    wrong.append(f"{at}: a launch template has no such attribute; set PrimaryIpv6 of the interface")
    if "TagSpecifications" in data:
        wrong += tagging.refused(f"{where}TagSpecifications", data["TagSpecifications"], tagging.INSTANCE)
    return data


_NOT_IN_TEMPLATES = ("OutpostArn", "AvailabilityZone", "AvailabilityZoneId")


def check_volumes(where: str, data: Json, wrong: list[str], notes: list[str]) -> None:
    """Volumes that would stay behind, or that a launch template can't say."""
    mappings = data.get("BlockDeviceMappings", [])
    lasting(where, mappings, wrong)
    for i, each in enumerate(mappings):
        volume = each.get("Ebs", {})
        at = f"{where}BlockDeviceMappings[{i}].Ebs."
        wrong += [
            f"{at}{name}: a launch template has no such attribute" for name in _NOT_IN_TEMPLATES if name in volume
        ]
        if volume.get("Encrypted") is False:
            notes.append(f"{at}Encrypted: true takes its place: every volume of an annex is encrypted")


def _groups(where: str, found: Iterable[Json], wrong: list[str]) -> Json:
    ids = [each["GroupId"] for each in found if "GroupId" in each]
    names = [each["GroupName"] for each in found if "GroupId" not in each and "GroupName" in each]
    if ids and names:
        wrong.append(f"{where}SecurityGroups: {names[0]} has no GroupId; name all groups by id, or all by name")
    return {"SecurityGroupIds": ids} if ids else {"SecurityGroups": names} if names else {}


def _zone_id(place: Mapping[str, Any]) -> Json:
    return {"AvailabilityZoneId": place["AvailabilityZoneId"]} if "AvailabilityZoneId" in place else {}


def _listed(text: str | None) -> list[Any]:
    """A launch specification may name several subnets or zones, separated by commas."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]
