"""One route's macros, checked and made a Route; what is wrong with them, all of it, with the line it stands on."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from jsonschema import Draft202012Validator

from annex_core.adapters import route_sense
from annex_core.adapters.catalogue import Catalogue
from annex_core.adapters.route_reading import Finding, Reading
from annex_core.adapters.route_text import RouteText, RouteTextError, macros
from annex_core.adapters.schemas import hint
from annex_core.model import duration, schedule
from annex_core.model.route import FleetApi, Market, Route
from annex_core.model.setting import Setting

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
        reading = Reading(text, own, configuration, places)
        self._unknown(reading)
        values = dict(self._values(reading))
        route_sense.check(reading, values, self._catalogue)
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
        reading = Reading(text, macros(text.lines, configuration), configuration, places)
        for name, shape in self._shapes.items():
            try:
                said = reading.text_of(name)
            except RouteTextError as e:
                said = f"({e})"
            origin, where = reading.origin(name)
            if said is None:
                said = _written(shape["default"], shape) if "default" in shape else None
            yield Setting(name, said or None, origin, where)

    def _unknown(self, reading: Reading) -> None:
        for macro in reading.own.values():
            if not macro.name.lower().startswith("annex") or macro.name.lower() in self._exact:
                continue
            if macro.name.lower() in {name.lower() for name in self._schema["notYet"]}:
                reading.refuse(macro.name, f"{macro.name} is not supported yet")
                continue
            reading.refuse(macro.name, f"there is no macro {macro.name}{hint(macro.name, self._shapes)}")

    def _values(self, reading: Reading) -> Iterator[tuple[str, Any]]:
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


def _written(value: Any, shape: Mapping[str, Any]) -> str:
    """A default as a route would say it."""
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, dict):
        return ", ".join(f"{key}={each}" for key, each in value.items())
    return f"{value}s" if shape.get("unit") == "s" else str(value)


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
