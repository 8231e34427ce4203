"""A launch by a fleet configuration: its specifications as changes to the route, its pools as overrides."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from annex_core.adapters.fleet_files import fleet_config
from annex_core.errors import BadRequest
from annex_core.fleet_file.configuration import FleetConfig
from annex_core.fleet_file.copying import copied
from annex_core.fleet_file.launching import Pool, Specification
from annex_core.model.route import Route, volumes_gib
from annex_core.ports import Cloud, Override, TemplateRef

_BY_PARAMETER = "resolve:ssm:"

log = logging.getLogger(__name__)


def configuration(route: Route, cloud: Cloud) -> FleetConfig | None:
    """
    What the route's fleet configuration asks for, others' launch templates copied into it; None where it has none.

    Raises:
        BadRequest: One of those templates can't be kept as it is.
        Refused: There is no such template.
    """
    if route.fleet_config is None:
        return None
    config = fleet_config(route.fleet_config)
    return replace(config, specifications=tuple(_whole(each, route, cloud) for each in config.specifications))


def _whole(specification: Specification, route: Route, cloud: Cloud) -> Specification:
    source = specification.source
    if source is None:
        return specification
    whole, notes = copied(specification, dict(cloud.template_data(source.template, source.version)))
    for note in notes:
        log.info("route %s: %s", route.name, note)
    size = sum(each.get("Ebs", {}).get("VolumeSize", 0) for each in whole.data.get("BlockDeviceMappings", []))
    if size > route.volume_gib:
        raise BadRequest(
            f"launch template {source.template}: its volumes have {size} GiB, and the price was reckoned with"
            f" {route.volume_gib} (AnnexVolumeGiB)"
        )
    return whole


def specified(route: Route, specification: Specification, cloud: Cloud) -> tuple[Route, Mapping[str, Any]]:
    """
    Returns:
        The route as the specification has it, and what of a launch template is not in a route.
    """
    image = specification.data.get("ImageId", route.image)
    if image.startswith(_BY_PARAMETER):
        image = cloud.resolve_image(image.removeprefix(_BY_PARAMETER))
    chosen = (route.user_data, specification.user_data, route.default_user_data)
    user_data = next((each for each in chosen if each is not None), None)
    data = {name: value for name, value in specification.data.items() if name != "ImageId"}
    gib = route.volume_gib - volumes_gib(route.fleet_config or {})  # what it names itself was reckoned on top
    return replace(route, image=image, user_data=user_data, volume_gib=gib), data


def capacity(config: FleetConfig, machines: int) -> int:
    """
    What to ask for, in weights, so that no more than so many machines come of it.

    Raises:
        BadRequest: Any capacity could bring more.
    """
    most = config.capacity(machines)
    if most < 1:
        raise BadRequest(
            f"the fleet configuration: its lightest specification weighs {config.lightest}, and no more than"
            f" {machines} machines may come"
        )
    return most if config.target is None else min(most, config.target)


def pools(
    specification: Specification,
    template: TemplateRef,
    ceilings: Mapping[str, Decimal | None],
    subnets: tuple[str, ...],
) -> Iterator[Override]:
    """
    Args:
        ceilings: USD an hour that each type may cost; a type that is not in it may not be launched.
        subnets: Where a pool that says nothing of its place is launched.
    """
    placed = any("SubnetId" in each for each in specification.data.get("NetworkInterfaces", []))
    for pool in specification.pools:
        if pool.instance_type not in ceilings:
            continue
        anywhere = pool.subnet is None and not placed and not _zoned(pool)
        for subnet in subnets if anywhere else (pool.subnet,):
            prices = [each for each in (pool.max_price, ceilings[pool.instance_type]) if each is not None]
            yield Override(
                pool.instance_type, subnet, min(prices, default=None), pool.weight, pool.place, template=template
            )


def _zoned(pool: Pool) -> bool:
    return any(name.startswith("AvailabilityZone") for name, _ in pool.place)
