"""What an annex's machines are launched with: its launch template, the bundle of its execution points, user data."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from annex_core.adapters.journal_learned import LearnedBook
from annex_core.bundle.build import ExecutionPoint, bundle, user_data
from annex_core.errors import BadRoute
from annex_core.model.annex import Annex
from annex_core.model.plan import LaunchFleet
from annex_core.model.route import Route
from annex_core.model.tags import AnnexTags
from annex_core.ports import Cloud, TemplateRequest, Tokens


@dataclass(frozen=True)
class Site:
    """What all annexes of this access point share."""

    pool: str
    access_point: str
    domain: str
    collector: str
    """COLLECTOR_HOST of execution points."""
    trust_domain: str
    version: str | None = None
    """Of its HTCondor; None where it can't be told."""


@dataclass(frozen=True)
class Description:
    """What an annex's machines are launched with, before user data."""

    request: TemplateRequest
    point: ExecutionPoint | None
    """None: they bring their own pilot."""
    own: str | None
    """User data in place of our boot script."""
    config_dir: Mapping[str, bytes]
    digest: str
    """Of all that a launch template is made from."""


class Describer:
    """
    Args:
        learned: Keeps which AMI a route's image is.
    """

    def __init__(self, *, site: Site, tokens: Tokens, learned: LearnedBook, clock: Callable[[], datetime]) -> None:
        self._site = site
        self._tokens = tokens
        self._learned = learned
        self._clock = clock

    def described(self, wanted: LaunchFleet, route: Route, cloud: Cloud, data: Mapping[str, Any]) -> Description:
        """
        Args:
            route: As a specification of a fleet configuration may have changed it.
            data: What such a one says of the launch template beside.

        Raises:
            BadRoute: A file that it names can't be read, or an annex of pilots has no user data.
        """
        annex = wanted.annex
        own = _own_user_data(route)
        if annex.pilot and own is None:
            raise BadRoute(route.name, "there is no AnnexUserDataFile, and without user data no pilot starts")
        point = None if annex.pilot else self._execution_point(wanted)
        config_dir = {} if annex.pilot else _config_files(route)
        image = cloud.resolve_image(route.image)
        if image != route.image:
            self._learned.keep_image(route.place, route.image, image)
        request = TemplateRequest(
            name=template_name(annex),
            client_token="",
            image=image,
            user_data="",
            tags=self.tags(wanted, route),
            security_groups=route.security_groups,
            key_name=route.key_name,
            instance_profile=route.instance_profile,
            metadata_tokens=route.metadata_tokens,
            volume_gib=route.volume_gib,
            data=data,
        )
        all_of_it = digest(
            annex.started, point, own, request, sorted(config_dir.items()), *filter(None, [wanted.warm_until])
        )
        return Description(request, point, own, config_dir, all_of_it)

    def bundle(self, wanted: LaunchFleet, point: ExecutionPoint, config_dir: Mapping[str, bytes]) -> bytes:
        """With a token of the annex's own, that is good for as long as it may live."""
        annex = wanted.annex
        lifetime = int((annex.ends_at_latest - self._clock()).total_seconds())
        token = self._tokens.issue(annex.key.identity(self._site.domain), lifetime)
        return bundle(point, token=token, config_dir=config_dir)

    def tags(self, wanted: LaunchFleet, route: Route) -> dict[str, str]:
        """What its fleets, machines and launch template carry."""
        annex = wanted.annex
        return AnnexTags(
            key=annex.key,
            project=annex.project,
            route=annex.route,
            pool=self._site.pool,
            access_point=self._site.access_point,
            lease_ends=annex.lease_ends,
            ends_at_latest=annex.ends_at_latest,
            extra=route.tags,
            pilot=annex.pilot,
        ).as_dict()

    def _execution_point(self, wanted: LaunchFleet) -> ExecutionPoint:
        annex = wanted.annex
        return ExecutionPoint(
            key=annex.key,
            project=annex.project,
            route=annex.route,
            collector=self._site.collector,
            trust_domain=self._site.trust_domain,
            idle_timeout=timedelta(seconds=wanted.idle_timeout_s),
            lease_ends=annex.lease_ends,
            hourly_prices={name: usd for name, usd in wanted.ceilings.items() if usd is not None},
            version=self._site.version,
        )


def template_name(annex: Annex) -> str:
    """What AWS shows the annex's launch template as."""
    return f"condor-annex-{annex.id}"


def boot_script(wanted: LaunchFleet, source: str | bytes) -> str:
    annex = wanted.annex
    return user_data(
        source=source,
        lease_ends=annex.lease_ends,
        ends_at_latest=annex.ends_at_latest,
        warm_until=wanted.warm_until,
    )


def _own_user_data(route: Route) -> str | None:
    """What the route, or a command, gives in place of our boot script."""
    if route.user_data is not None or route.user_data_file is None:
        return route.user_data
    try:
        return Path(route.user_data_file).read_bytes().decode()
    except OSError as error:
        raise BadRoute(route.name, f"AnnexUserDataFile: {error.strerror}: {error.filename}") from error
    except UnicodeDecodeError as error:
        raise BadRoute(route.name, f"AnnexUserDataFile: {route.user_data_file} is not text in UTF-8") from error


def _config_files(route: Route) -> dict[str, bytes]:
    """Those of a command come over the route's own of the same name."""
    by_hand = dict(route.config_files)
    if route.config_dir is None:
        return by_hand
    try:
        return {
            path.name: path.read_bytes()
            for path in sorted(Path(route.config_dir).iterdir())
            if path.is_file() and not path.name.startswith(".")
        } | by_hand
    except OSError as error:
        raise BadRoute(route.name, f"AnnexConfigDir: {error.strerror}: {error.filename}") from error


def digest(*parts: object) -> str:
    """Another one where any part is another."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()
