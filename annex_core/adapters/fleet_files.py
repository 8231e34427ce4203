"""Fleet configurations against the schema that the package carries."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from annex_core.adapters.schemas import schema
from annex_core.fleet_file import configuration, ordering
from annex_core.fleet_file.configuration import FleetConfig
from annex_core.model.route import Route


def fleet_config(found: Mapping[str, Any]) -> FleetConfig:
    """
    Raises:
        BadRequest: It can't be kept as it is; the sentence names attributes.
    """
    return configuration.fleet_config(found, _schema())


def completed(body: Mapping[str, Any], route: Route) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """As ordering.completed; a create without a configuration costs nothing here."""
    return ordering.completed(body, route, _schema()) if body.get("fleet_config") is not None else (body, ())


@cache
def _schema() -> Mapping[str, Any]:
    return schema("spot-fleet")
