"""One route's macros, checked and made a Route; what is wrong with them, all of it, with the line it stands on."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from annex_core.adapters import bursting, unaided
from annex_core.adapters.catalogue import Catalogue
from annex_core.adapters.route_text import Macro, RouteText, RouteTextError, expand, macros
from annex_core.bundle.build import USER_DATA_LIMIT
from annex_core.model import duration, schedule
from annex_core.model.hardware import InstanceType
from annex_core.model.route import DEFAULT_SUBNETS, FleetApi, Market, Route
from annex_core.model.setting import Origin, Setting

FIELDS = {
    "AnnexRegion": "region",
    "AnnexSubnets": "subnets",
    "AnnexImage": "image",
    "AnnexInstanceTypes": "instance_types",
    "AnnexBucket": "bucket",
    "AnnexFleetRole": "fleet_role",
    "AnnexCredentials": "credentials",
    "AnnexEndpoint": "endpoint",
    "AnnexMarket": "market",
    "AnnexFallback": "fallback",
    "AnnexFallbackAfter": "fallback_after",
    "AnnexFallbackEvictions": "fallback_evictions",
    "AnnexOnDemandMaxPrice": "on_demand_max_price",
    "AnnexFleetApi": "fleet_api",
    "AnnexAllocationStrategy": "allocation_strategy",
    "AnnexFulfilWithin": "fulfil_within",
    "AnnexGrowInterval": "grow_interval",
    "AnnexAfter": "after",
    "AnnexLifetime": "lifetime",
    "AnnexMaxLifetime": "max_lifetime",
    "AnnexIdleTimeout": "idle_timeout",
    "AnnexJoinWithin": "join_within",
    "AnnexMaxInstances": "max_instances",
    "AnnexMinInstances": "min_instances",
    "AnnexMinSchedule": "min_schedule",
    "AnnexMaxVcpus": "max_vcpus",
    "AnnexMaxHourlyCost": "max_hourly_cost",
    "AnnexBudget": "budget",
    "AnnexEgressPrice": "egress_price",
    "AnnexOwners": "owners",
    "AnnexSecurityGroups": "security_groups",
    "AnnexKeyName": "key_name",
    "AnnexInstanceProfile": "instance_profile",
    "AnnexVolumeGiB": "volume_gib",
    "AnnexMetadataTokens": "metadata_tokens",
    "AnnexConfigDir": "config_dir",
    "AnnexUserDataFile": "user_data_file",
    "AnnexPilot": "pilot",
    "AnnexTags": "tags",
    "AnnexRebalance": "rebalance",
    "AnnexReaper": "reaper",
    "AnnexCheckConnectivity": "probe",
}
"""The field of Route that each macro of schemas/route.json fills."""

_ENUMS: Mapping[str, type[StrEnum]] = {"AnnexMarket": Market, "AnnexFleetApi": FleetApi}

_LIMITS = {
    "MaxJobs": ("JOB_ROUTER_DEFAULT_MAX_JOBS_PER_ROUTE", 100),
    "MaxIdleJobs": ("JOB_ROUTER_DEFAULT_MAX_IDLE_JOBS_PER_ROUTE", 50),
}
"""The router's own limits for a route: the configuration macro that stands for them all, and what it has without."""


@dataclass(frozen=True)
class Finding:
    """One thing to tell an administrator about a route."""

    route: str
    where: str
    """FILE:LINE, as far as it is known."""
    text: str
    fatal: bool
    """The route can't be used; otherwise a warning."""

    def __str__(self) -> str:
        return f"{self.where}: {'error' if self.fatal else 'warning'}: route {self.route}: {self.text}"


@dataclass(frozen=True)
class Checked:
    route: Route | None
    """None when any finding is fatal, and for a route that is not ours."""
    findings: tuple[Finding, ...]
    ours: bool
    """It has an Annex macro."""


class Checker:
    """
    Args:
        schema: schemas/route.json.
    """

    def __init__(self, schema: Mapping[str, Any], catalogue: Catalogue) -> None:
        self._schema = schema
        self._shapes: Mapping[str, Mapping[str, Any]] = schema["properties"]
        self._exact = {name.lower(): name for name in self._shapes}
        self._catalogue = catalogue

    def check(self, text: RouteText, configuration: Mapping[str, str], places: Mapping[str, str]) -> Checked:
        """
        Args:
            configuration: HTCondor's, expanded; it takes names in any case.
            places: FILE:LINE of macros in it, by lower-case name, as far as it is known.
        """
        try:
            own = macros(text.lines, configuration)
        except RouteTextError as e:
            ours = any(line.text.lower().startswith("annex") for line in text.lines)
            findings = (Finding(text.name, text.where(e.line), str(e), fatal=True),) if ours else ()
            return Checked(None, findings, ours)
        ours = any(key.startswith("annex") for key in own)
        if not ours:
            return Checked(None, (), ours=False)
        reading = _Reading(text, own, configuration, places)
        self._unknown(reading)
        values = dict(self._values(reading))
        self._sense(reading, values)
        route = None if reading.refused else self._route(text.name, values)
        return Checked(route, reading.findings(), ours=True)

    def settings(
        self, text: RouteText, configuration: Mapping[str, str], places: Mapping[str, str]
    ) -> Iterator[Setting]:
        """
        Every macro as it is in force in this route, and where it was said; whether it is any good is check()'s affair.

        Args:
            configuration, places: As for check().

        Raises:
            RouteTextError: The text can't be read.
        """
        reading = _Reading(text, macros(text.lines, configuration), configuration, places)
        for name, shape in self._shapes.items():
            try:
                said = reading.text_of(name)
            except RouteTextError as e:
                said = f"({e})"
            origin, where = reading.origin(name)
            if said is None:
                said = _written(shape["default"], shape) if "default" in shape else None
            yield Setting(name, said or None, origin, where)

    def _unknown(self, reading: "_Reading") -> None:
        for macro in reading.own.values():
            if not macro.name.lower().startswith("annex") or macro.name.lower() in self._exact:
                continue
            if macro.name.lower() in {name.lower() for name in self._schema["notYet"]}:
                reading.refuse(macro.name, f"{macro.name} is not supported yet")
                continue
            reading.refuse(macro.name, f"there is no macro {macro.name}{_hint(macro.name, self._shapes)}")

    def _values(self, reading: "_Reading") -> Iterator[tuple[str, Any]]:
        """The macros that have a value, as the schema wants it; what it doesn't want is refused."""
        for name, shape in self._shapes.items():
            try:
                text = reading.text_of(name)
            except RouteTextError as e:
                reading.refuse(name, f"{name}: {e}")
                continue
            needed = name in self._schema["required"]
            if text is None and "default" in shape:
                yield name, shape["default"]
            elif text or (text is not None and not needed and "minItems" in shape):
                value = _typed(text, shape)
                error = next(Draft202012Validator(dict(shape)).iter_errors(value), None)
                if error is None:
                    yield name, value
                else:
                    wrong = error.instance if error.validator in {"pattern", "enum"} else text
                    reading.refuse(name, f"{name}: {wrong!r} won't do; it takes {shape['expects']}")
            elif needed:
                why = ": without a cap nothing is launched" if name == "AnnexMaxInstances" else ""
                reading.refuse(name, f"{name} is missing{why}; it takes {shape['expects']}")

    def _sense(self, reading: "_Reading", values: Mapping[str, Any]) -> None:
        """What no schema can say: whether the values go together, and with what AWS has."""
        region, names = values.get("AnnexRegion", ""), values.get("AnnexInstanceTypes", ())
        found = self._catalogue.types(region, names)
        for name in names:
            if name not in found:
                hint = _hint(name, self._catalogue.names)
                reading.refuse("AnnexInstanceTypes", f"AnnexInstanceTypes: AWS has no instance type {name}{hint}")
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
        bursting.check(reading, reading.lines, reading.own)
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
        if region not in self._catalogue.regions and "AnnexEndpoint" not in values:
            reading.warn("AnnexRegion", f"no prices are known for {region}{_hint(region, self._catalogue.regions)}")
        _caps(reading, values, found)

    def _route(self, name: str, values: Mapping[str, Any]) -> Route:
        values = {"AnnexMaxLifetime": max(duration.DAY, 2 * values["AnnexLifetime"]), **values}
        return Route(name=name, **{FIELDS[macro]: self._field(macro, value) for macro, value in values.items()})

    def _field(self, macro: str, value: Any) -> Any:
        """A checked value in the type that Route has."""
        shape = self._shapes[macro]
        if macro == "AnnexMinSchedule":
            return schedule.parse(value)
        if macro in _ENUMS:
            return _ENUMS[macro](value)
        if shape["type"] == "number":
            return Decimal(value)
        if shape["type"] == "array":
            return tuple(dict.fromkeys(value))
        if shape["type"] == "object":
            return tuple(value.items())
        return timedelta(seconds=value) if shape.get("unit") == "s" else value


class _Reading:
    """One route on its way to a recipe: where each macro's text comes from, and what was found."""

    def __init__(
        self, text: RouteText, own: Mapping[str, Macro], configuration: Mapping[str, str], places: Mapping[str, str]
    ) -> None:
        self._text = text
        self.own = own
        self.lines = tuple(line.text for line in text.lines)
        self._configuration = configuration
        self._places = places
        self._found: list[tuple[int, Finding]] = []
        self.refused = False

    def is_set(self, name: str, *, pool_wide: str) -> bool:
        """Whether the route has the macro, or the configuration the one that stands for it in all routes."""
        own = self.own.get(name.lower())
        return bool(own.text if own else self._configuration.get(pool_wide))

    def text_of(self, name: str) -> str | None:
        """
        The macro's text, the route's own or else the pool-wide one; None when neither is there, "" when it is empty.

        Raises:
            RouteTextError: It can't be resolved without a job.
        """
        if name.lower() in self.own:
            text = expand(f"$({name})", self.own, self._configuration)
        else:
            found = self._configuration.get(name)
            if found is None:
                return None
            text = str(found)
        text = text.strip()
        return text[1:-1] if re.fullmatch(r'"[^"]*"', text) else text

    def origin(self, name: str) -> tuple[Origin, str]:
        """Who says it, and at which FILE:LINE."""
        if macro := self.own.get(name.lower()):
            return Origin.ROUTE, self._text.where(macro.line)
        if self._configuration.get(name) is not None:
            return Origin.POOL, self._places.get(name.lower(), "")
        return Origin.DEFAULT, ""

    def findings(self) -> tuple[Finding, ...]:
        """In the order of the lines they stand on; what has no line comes first."""
        return tuple(finding for _, finding in sorted(self._found, key=lambda found: found[0]))

    def refuse(self, name: str, text: str) -> None:
        self.refused = True
        self._add(name, text, fatal=True)

    def warn(self, name: str, text: str) -> None:
        self._add(name, text, fatal=False)

    def _add(self, name: str, text: str, *, fatal: bool) -> None:
        macro = self.own.get(name.lower())
        line = macro.line if macro else None
        pool_wide = macro is None and name in self._configuration
        where = self._places.get(name.lower(), f"pool-wide {name}") if pool_wide else self._text.where(line)
        self._found.append((line or 0, Finding(self._text.name, where, text, fatal)))


def _written(value: Any, shape: Mapping[str, Any]) -> str:
    """A default as a route would say it."""
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, dict):
        return ", ".join(f"{key}={each}" for key, each in value.items())
    return f"{value}s" if shape.get("unit") == "s" else str(value)


def _warm(reading: _Reading, values: Mapping[str, Any]) -> None:
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


def _hint(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _typed(text: str, shape: Mapping[str, Any]) -> Any:
    """The value that *text* stands for; where it stands for none of the shape's type, the text itself."""
    match shape["type"]:
        case "array":
            return [word for word in re.split(r"[,\s]+", text) if word]
        case "object":
            pairs = [pair.partition("=") for pair in re.split(r"[,\n]", text) if pair.strip()]
            if not all(equals for _, equals, _ in pairs):
                return text
            return {key.strip(): value.strip() for key, _, value in pairs}
        case "boolean":
            return {"true": True, "false": False}.get(text.lower(), text)
        case "integer" if shape.get("unit") == "s":
            found = duration.seconds(text)
            return text if found is None else found
        case "integer":
            return int(text) if re.fullmatch(r"-?\d{1,18}", text) else text
        case "number":
            try:
                number = Decimal(text)
            except InvalidOperation:
                return text
            return number if number.is_finite() else text
        case _:
            return text


def _user_data(reading: _Reading, values: Mapping[str, Any]) -> None:
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


def _caps(reading: _Reading, values: Mapping[str, Any], types: Mapping[str, InstanceType]) -> None:
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
            reading.warn(name, f"{name}: no price is known in {values['AnnexRegion']} for {unknown}")
        prices = [t.on_demand for t in types.values() if t.on_demand is not None]
        least = (min(prices) + Decimal(values["AnnexEgressPrice"])) * hours if prices else None
        if least and values[name] < least:
            text = f"{name}: one instance may cost {least:.2f} USD in {float(hours):g} h; nothing is launched"
            reading.warn(name, text)
