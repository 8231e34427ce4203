"""Carry out a growth step: bundle, launch template, journal, fleet; cut short anywhere, nothing of it costs money."""

import logging
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from annex_core.adapters.journal import Journal, Template
from annex_core.adapters.journal_learned import LearnedBook
from annex_core.bundle.build import FETCH_WITHIN
from annex_core.daemon.configured import capacity, configuration, pools, specified
from annex_core.daemon.describing import Describer, Site, boot_script, digest, template_name
from annex_core.daemon.recovery import send
from annex_core.daemon.regions import Region, Regions
from annex_core.errors import BadRequest, NotPermitted, Refused
from annex_core.fleet_file.configuration import FleetConfig
from annex_core.model import tags
from annex_core.model.annex import Annex, LaunchState, Obstacle
from annex_core.model.names import bundle_key, client_token
from annex_core.model.plan import LaunchFleet
from annex_core.model.route import FleetApi, Route
from annex_core.ports import Cloud, LaunchRequest, Override, TemplateRef, TemplateRequest, Tokens

_BOOT = timedelta(minutes=10)
_URL_GOOD_FOR = timedelta(hours=2)
"""Beyond what is needed, so that the template need not change at each step."""

POOLS_A_FLEET = 300
"""Combinations of type and subnet; AWS's quota."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Asked:
    """What a launch asks for beside what every launch does."""

    template: TemplateRef | TemplateRequest
    overrides: tuple[Override, ...]
    role: str | None
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    attributes: Mapping[str, Any] = field(default_factory=dict, hash=False)
    capacity: int | None = None


class Launcher:
    """
    Args:
        unique: Makes the part of a client token that no other has; at most 32 characters, no underscore.
    """

    def __init__(
        self,
        *,
        site: Site,
        journal: Journal,
        regions: Regions,
        tokens: Tokens,
        clock: Callable[[], datetime],
        unique: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._site = site
        self._journal = journal
        self._describer = Describer(site=site, tokens=tokens, learned=LearnedBook(journal), clock=clock)
        self._regions = regions
        self._clock = clock
        self._unique = unique

    def warm(self, route: Route) -> None:
        """
        Ask what a launch by this route will need and does not change, so that no launch waits for it.

        Raises:
            Refused: The image, a subnet or the key pair does not exist.
        """
        cloud = self._regions[route.place].cloud
        _need_key_pair(route.key_name, cloud)
        cloud.resolve_image(route.image)
        cloud.subnet_zones(route.subnets)

    def launch(self, wanted: LaunchFleet) -> None:
        """
        Ask for one fleet.

        Raises:
            AnnexError: Before anything was asked of EC2's fleets; what came of the request itself is in the journal.
        """
        annex, route = wanted.annex, wanted.route
        region = self._regions[route.place]
        self._journal.begin(annex)
        try:
            config = configuration(route, region.cloud)
            asked = self._configured(wanted, route, region, config) if config else self._by_route(wanted, route, region)
        except BadRequest as refusal:
            self._refuse(wanted, refusal)
            return
        if route.api is FleetApi.RUN_INSTANCES:
            wanted = replace(wanted, types=(asked.overrides[0].instance_type,))
        now = self._clock()
        launch = wanted.as_launch(client_token(annex.id, self._unique()), now)
        launch = replace(launch, pools=_pools(asked.overrides, route, region))
        request = LaunchRequest(
            api=launch.api,
            market=launch.market,
            client_token=launch.token,
            template=asked.template,
            overrides=asked.overrides,
            target=wanted.target,
            allocation_strategy=route.allocation_strategy,
            valid_from=now,
            valid_until=annex.ends_at_latest,
            fleet_role=asked.role,
            tags={**asked.tags, **self._describer.tags(wanted, route)},
            attributes=asked.attributes,
            capacity=asked.capacity,
        )
        document = region.cloud.encode(request)
        self._journal.intend(launch, document)
        send(self._journal, self._regions, launch, document, now, self._clock)

    def _by_route(self, wanted: LaunchFleet, route: Route, region: Region) -> _Asked:
        overrides = _overrides(wanted, route, region)
        _need_key_pair(route.key_name, region.cloud)
        if route.api is FleetApi.RUN_INSTANCES:
            # One type in one subnet: each call takes the next ones, so that no shortage is met for ever.
            number = len(self._journal.launches([wanted.annex]))
            return _Asked(self._inline(wanted, route, region), (overrides[number % len(overrides)],), None)
        return _Asked(self._template(wanted, route, region), overrides, route.fleet_role)

    def _configured(self, wanted: LaunchFleet, route: Route, region: Region, config: FleetConfig) -> _Asked:
        """By a fleet configuration: a version of the annex's template for each specification."""
        much = capacity(config, wanted.target)
        subnets = tuple(_subnets(route, region).values())
        overrides: list[Override] = []
        for name in dict.fromkeys(each.data.get("KeyName", route.key_name) for each in config.specifications):
            _need_key_pair(name, region.cloud)
        for each in config.specifications:
            its, data = specified(route, each, region.cloud)
            template = self._template(wanted, its, region, data)
            overrides += pools(each, template, wanted.ceilings, subnets)
        if len(overrides) > POOLS_A_FLEET:
            some = f"{len(overrides)} combinations of type and subnet"
            raise BadRequest(f"the fleet configuration has {some}, AWS takes {POOLS_A_FLEET}")
        return _Asked(
            overrides[0].template or template,
            tuple(overrides),
            config.role or route.fleet_role,
            tags=config.tags,
            attributes=config.attributes,
            capacity=much,
        )

    def _refuse(self, wanted: LaunchFleet, refusal: BadRequest) -> None:
        """What no later try can cure is over, and its order with it."""
        log.error("annex %s: %s", wanted.annex.key, refusal)
        launch = wanted.as_launch(client_token(wanted.annex.id, self._unique()), self._clock())
        self._journal.intend(launch, "")
        self._journal.settle(launch.token, LaunchState.REFUSED, reason=str(refusal), obstacle=Obstacle.REFUSAL)

    def finish(self, annex: Annex) -> None:
        """Delete what is left of an annex that costs nothing, template and bundle, and close its record."""
        for place, template in self._journal.templates(annex.id).items():
            region = self._regions[place]
            try:
                # One that was only meant to be made may have been made: AWS's tags tell.
                made = template.template or region.cloud.find_template(template_name(annex), self._identity(annex))
                if made:
                    region.cloud.delete_template(made)
                if template.bucket:
                    region.store(template.bucket).delete(bundle_key(annex.id))
            except (NotPermitted, Refused) as error:
                # The next life finds and re-uses what stays: it must not wait for ever.
                log.error("annex %s: template %s or its bundle stays: %s", annex.key, template_name(annex), error)
        self._journal.finish(annex, self._clock())

    def _identity(self, annex: Annex) -> dict[str, str]:
        """Tags that no other annex carries."""
        return {
            tags.POOL: self._site.pool,
            tags.ACCESS_POINT: self._site.access_point,
            tags.OWNER: annex.key.owner,
            tags.NAME: annex.key.name,
        }

    def _template(
        self, wanted: LaunchFleet, route: Route, region: Region, data: Mapping[str, Any] = _NOTHING
    ) -> TemplateRef:
        """
        The annex's template, made or changed only when it has to be; its bundle is in the bucket before it is.

        Args:
            data: What a fleet configuration says of it beside.
        """
        annex = wanted.annex
        now = self._clock()
        described = self._describer.described(wanted, route, region.cloud, data)
        request, point = described.request, described.point
        needed_until = now + route.fulfil_within + _BOOT + FETCH_WITHIN
        bucket = (route.bucket or "") if point else ""
        known = self._journal.templates(annex.id).get(route.place)
        if known and known.template and known.digest == described.digest and known.url_expires >= needed_until:
            return TemplateRef(known.template, known.version)
        if known is None:  # whoever finishes the annex looks for it, should we not live to hear of it
            self._journal.keep_template(Template(annex.id, route.place, "", 0, bucket, "", now))
        content = self._describer.bundle(wanted, point, described.config_dir) if point else b""
        store = region.store(route.bucket) if route.bucket else None
        if store and content:
            store.put(bundle_key(annex.id), content, request.tags)
        text, good_until = described.own, annex.ends_at_latest + FETCH_WITHIN + _BOOT + route.fulfil_within
        if text is None:
            source: str | bytes = content
            if store:
                good_until = needed_until + _URL_GOOD_FOR
                source = store.url(bundle_key(annex.id), expires_in=int((good_until - now).total_seconds()))
            text = boot_script(wanted, source)
        made = region.cloud.put_template(
            replace(request, user_data=text, client_token=client_token(annex.id, digest(request, text)[:32])),
            existing=(known.template or None) if known else None,
        )
        self._journal.keep_template(
            Template(annex.id, route.place, made.id, made.version, bucket, described.digest, good_until)
        )
        return made

    def _inline(self, wanted: LaunchFleet, route: Route, region: Region) -> TemplateRequest:
        """What the annex's template would hold, for a call that takes none; the bundle is in the user data."""
        described = self._describer.described(wanted, route, region.cloud, _NOTHING)
        text = described.own
        if text is None and described.point:
            content = self._describer.bundle(wanted, described.point, described.config_dir)
            text = boot_script(wanted, content)
        return replace(described.request, user_data=text or "")


def _overrides(wanted: LaunchFleet, route: Route, region: Region) -> tuple[Override, ...]:
    """
    Every type in one subnet of every zone, but where AWS has just had none of it; at least one is left. Of more than a
    fleet takes, the types that stand first.
    """
    of_zone = _subnets(route, region)
    every = [(name, zone) for name in wanted.types for zone in of_zone]
    some = [pool for pool in every if pool not in wanted.left_out] or every
    return tuple(Override(name, of_zone[zone], wanted.ceilings[name]) for name, zone in some[:POOLS_A_FLEET])


def _subnets(route: Route, region: Region) -> Mapping[str, str]:
    """One of every zone, by zone: AWS takes no two subnets of one zone in a fleet."""
    zones = region.cloud.subnet_zones(route.subnets)
    of_zone: dict[str, str] = {}
    for subnet, zone in zones.items():
        of_zone.setdefault(zone, subnet)
    if not of_zone:
        raise Refused(f"route {route.name} names no subnet")
    return of_zone


def _need_key_pair(name: str | None, cloud: Cloud) -> None:
    """Whoever may not ask for key pairs may launch with one all the same, and AWS says then what it thinks of it."""
    if name:
        with suppress(NotPermitted):
            cloud.need_key_pair(name)


def _pools(overrides: Iterable[Override], route: Route, region: Region) -> tuple[tuple[str, str], ...]:
    """Types and zones that a launch draws from; a zone that only a fleet configuration names stays open."""
    zones = region.cloud.subnet_zones(route.subnets)
    return tuple(dict.fromkeys((each.instance_type, zones.get(each.subnet or "", "")) for each in overrides))
