"""What no schema can say of a route: whether its macros go together, and with what AWS has."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from annex_core.adapters import bursting, unaided
from annex_core.adapters.catalogue import Catalogue
from annex_core.adapters.route_reading import Reading
from annex_core.adapters.schemas import hint
from annex_core.bundle.build import USER_DATA_LIMIT
from annex_core.model import schedule
from annex_core.model.hardware import InstanceType
from annex_core.model.route import DEFAULT_SUBNETS

_LIMITS = {
    "MaxJobs": ("JOB_ROUTER_DEFAULT_MAX_JOBS_PER_ROUTE", 100),
    "MaxIdleJobs": ("JOB_ROUTER_DEFAULT_MAX_IDLE_JOBS_PER_ROUTE", 50),
}
"""The router's own limits for a route: the configuration macro that stands for them all, and what it has without."""


def check(reading: Reading, values: Mapping[str, Any], catalogue: Catalogue) -> None:
    """
    Args:
        values: Of the route's macros.
    """
    region, names = values.get("AnnexRegion", ""), values.get("AnnexInstanceTypes", ())
    found = catalogue.types(region, names)
    for name in names:
        if name not in found:
            near = hint(name, catalogue.names)
            reading.refuse("AnnexInstanceTypes", f"AnnexInstanceTypes: AWS has no instance type {name}{near}")
    by_architecture = {t.architecture: t.name for t in found.values()}
    if len(by_architecture) > 1:
        mix = " and ".join(f"{name} is {a}" for a, name in sorted(by_architecture.items()))
        reading.refuse("AnnexInstanceTypes", f"AnnexInstanceTypes: {mix}; one image boots one architecture alone")
    subnets = values.get("AnnexSubnets", ())
    if DEFAULT_SUBNETS in subnets and len(subnets) > 1:
        reading.refuse("AnnexSubnets", "AnnexSubnets: default stands alone, for it is all of them")
    lifetime = values.get("AnnexLifetime", 0)
    if values.get("AnnexMaxLifetime", lifetime) < lifetime:
        reading.refuse("AnnexMaxLifetime", "AnnexMaxLifetime is less than AnnexLifetime")
    _user_data(reading, values)
    unaided.check(reading, values)
    _warm(reading, values)
    bursting.check(reading)
    for name, (default, limit) in _LIMITS.items():
        if not reading.is_set(name, pool_wide=default):
            reading.warn(name, f"{name} is not set: the job router takes {limit} jobs at most")
    if not values.get("AnnexReaper", True):
        reading.warn(
            "AnnexReaper",
            "AnnexReaper is False: what outlives this access point and its own timer ends at AnnexMaxLifetime only",
        )
    if not values.get("AnnexCheckConnectivity", True):
        reading.warn(
            "AnnexCheckConnectivity",
            "AnnexCheckConnectivity is False: machines are launched also where none of them could report",
        )
    if reading.refused:
        return
    if region not in catalogue.regions and "AnnexEndpoint" not in values:
        reading.warn("AnnexRegion", f"no prices are known for {region}{hint(region, catalogue.regions)}")
    _caps(reading, values, found)


def _warm(reading: Reading, values: Mapping[str, Any]) -> None:
    """Can machines be kept ready as the route says?"""
    name, least, said = "AnnexMinInstances", values.get("AnnexMinInstances", 0), values.get("AnnexMinSchedule")
    if said is not None:
        try:
            schedule.parse(said)
        except ValueError as error:
            reading.refuse("AnnexMinSchedule", f"AnnexMinSchedule: {error}")
        if not least:
            reading.warn("AnnexMinSchedule", "AnnexMinSchedule does nothing without AnnexMinInstances")
    elif least:
        reading.refuse(
            name, "AnnexMinInstances needs AnnexMinSchedule, which says when: always, or Mon-Fri 08:00-18:00"
        )
    if least > values.get("AnnexMaxInstances", least):
        reading.refuse(name, "AnnexMinInstances is more than AnnexMaxInstances")
    if least and (values.get("AnnexPilot") or "AnnexUserDataFile" in values):
        reading.refuse(
            name,
            "AnnexMinInstances goes with our own boot script alone: with another, idle machines leave all the same",
        )


def _user_data(reading: Reading, values: Mapping[str, Any]) -> None:
    """Another user data than ours starts no execution point by itself: something else has to, or a pilot is meant."""
    name = "AnnexUserDataFile"
    path = values.get(name)
    if path is None and values.get("AnnexPilot"):
        reading.refuse("AnnexPilot", f"AnnexPilot: without {name} no pilot starts")
    if path is None:
        return
    try:
        size = len(Path(path).read_bytes().decode().encode())
    except OSError as error:
        reading.refuse(name, f"{name}: {error.strerror}: {path}")
    except UnicodeDecodeError:
        reading.refuse(name, f"{name}: {path} is not text in UTF-8")
    else:
        if size > USER_DATA_LIMIT:
            reading.refuse(name, f"{name}: {path} is {size} bytes, and EC2 takes {USER_DATA_LIMIT}")
    if not values.get("AnnexPilot") and "AnnexInstanceProfile" not in values:
        reading.warn(
            name,
            f"{name}: machines don't run our boot script; to join, the image has to fetch its bundle by itself, which"
            " takes AnnexInstanceProfile, and a pilot of another pool takes AnnexPilot = True",
        )


def _caps(reading: Reading, values: Mapping[str, Any], types: Mapping[str, InstanceType]) -> None:
    """Caps below what a single instance takes launch nothing: legal, and worth a warning."""
    if values["AnnexMaxInstances"] == 0:
        reading.warn("AnnexMaxInstances", "AnnexMaxInstances is 0: nothing is launched")
    vcpus = min(t.vcpus for t in types.values())
    if values.get("AnnexMaxVcpus", vcpus) < vcpus:
        reading.warn("AnnexMaxVcpus", f"AnnexMaxVcpus: the smallest instance type has {vcpus}; nothing is launched")
    caps = {"AnnexMaxHourlyCost": Decimal(1), "AnnexBudget": Decimal(values["AnnexLifetime"]) / 3600}
    for name, hours in caps.items():
        if name not in values:
            continue
        unknown = ", ".join(t.name for t in types.values() if t.on_demand is None)
        if unknown:
            where = f"in {values['AnnexRegion']} for {unknown}"
            reading.warn(name, f"{name}: no price is known {where}, unless AWS's price list tells condor_annexd one")
        prices = [t.on_demand for t in types.values() if t.on_demand is not None]
        least = (min(prices) + Decimal(values["AnnexEgressPrice"])) * hours if prices else None
        if least and values[name] < least:
            text = f"{name}: one instance may cost {least:.2f} USD in {float(hours):g} h; nothing is launched"
            reading.warn(name, text)
