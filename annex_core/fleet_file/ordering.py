"""A create that brings a fleet configuration, with all that follows from it filled in."""

from collections.abc import Mapping
from typing import Any

from annex_core.errors import BadRequest
from annex_core.fleet_file.configuration import FleetConfig, fleet_config, foreign_role
from annex_core.model.route import FleetApi, Market, Route


def completed(
    body: Mapping[str, Any], route: Route, schema: Mapping[str, Any]
) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """
    Args:
        body: Of a create, by schemas/request.json.
        schema: schemas/spot-fleet.json.

    Returns:
        The body, with types, prices and the number of machines out of its fleet_config, and a sentence for each thing
        that is not as the configuration says. Without a fleet_config the body as it is.

    Raises:
        BadRequest: The configuration can't be kept as it is, or doesn't go with the rest.
    """
    if body.get("fleet_config") is None:
        return body, ()
    config = fleet_config(body["fleet_config"], schema)
    if config.role and route.fleet_role and (wrong := foreign_role(config.role, route.fleet_role)):
        raise BadRequest(wrong)
    _go_together(body, route)
    instances, capacity = _size(body, config)
    filled = {name: value for name, value in body.items() if name != "slots"}
    filled |= {
        "instances": instances,
        "instance_types": list(config.types),
        "market": Market.SPOT.value,
        "fleet_api": FleetApi.SPOT_FLEET.value,
        "fleet_config": {**_bare(body["fleet_config"]), "TargetCapacity": capacity},
    }
    prices = {name: f"{price:f}" for name, price in config.max_prices().items()}
    if prices and "max_price_usd" not in body:
        filled["max_price_usd"] = prices
    notes = list(config.notes)
    if body.get("user_data") is None and any(each.user_data for each in config.specifications):
        notes.append(
            "UserData: it takes the place of the boot script; the image has to join the pool by HTCondor's own"
            " condor-annex-ec2 service"
        )
    return filled, tuple(notes)


def _go_together(body: Mapping[str, Any], route: Route) -> None:
    market = body.get("market", route.market)
    if market not in {Market.SPOT, Market.SPOT_THEN_ON_DEMAND}:
        raise BadRequest("the fleet configuration: it is a Spot Fleet's, and the machines are to be on-demand")
    if body.get("fleet_api", FleetApi.SPOT_FLEET) != FleetApi.SPOT_FLEET:
        raise BadRequest(f"the fleet configuration: it is a Spot Fleet's, and no {body['fleet_api']}'s")
    for name in ("instance_types", "image", "images", "subnets"):
        if body.get(name):
            raise BadRequest(f"the fleet configuration: it names its own, and so does {name}; say one of them")


def _size(body: Mapping[str, Any], config: FleetConfig) -> tuple[int, int]:
    """Machines at most, and capacity; what the command says beats what the file says."""
    if body.get("instances") is not None:
        instances: int = body["instances"]
        capacity = config.capacity(instances)
        if capacity < 1:
            raise BadRequest(
                f"the fleet configuration: its lightest specification weighs {config.lightest}, so that any capacity"
                f" may bring more than {instances} machines; ask for capacity, with -slots"
            )
        return instances, capacity
    wanted = body.get("slots") or config.target
    if wanted is None:
        raise BadRequest("the fleet configuration: no TargetCapacity; say how much: -slots")
    return config.instances(wanted), wanted


def _bare(found: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = found.get("SpotFleetRequestConfig")
    return inner if isinstance(inner, dict) and len(found) == 1 else found
