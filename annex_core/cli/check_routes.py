"""check-setup's part about the routes of this access point: would their machines start?"""

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from annex_core.account.checks import Finding
from annex_core.account.components import COMPONENTS
from annex_core.account.preflight import settings_of
from annex_core.account.without_setup import gives_up, without_setup
from annex_core.adapters.aws_credentials import source
from annex_core.adapters.aws_errors import aws_call
from annex_core.adapters.aws_session import AwsRegion
from annex_core.adapters.catalogue import Catalogue
from annex_core.adapters.ec2 import ec2_cloud
from annex_core.adapters.preflight import Pool, Preflight
from annex_core.adapters.routes import RouteBook, configured
from annex_core.adapters.settings import pool_name
from annex_core.cli.asking_aws import Ground
from annex_core.errors import AnnexError, NotPermitted, Refused
from annex_core.model.place import OWNER, SITE
from annex_core.model.route import Route


def routes_here() -> list[Route]:
    """None where HTCondor has no configuration, as on the machine of somebody who sets up for others."""
    try:
        return list(RouteBook(Catalogue()).read(configured()).routes.values())
    except AnnexError as error:
        print(f"No route was looked at: {error}", file=sys.stderr)
        return []


def look_at(route: Route, ground: Ground, *, by_its_own: bool) -> Iterator[Finding]:
    """
    Args:
        by_its_own: Sign with the route's AnnexCredentials, for nobody has said with whose.

    Raises:
        Unavailable: AWS doesn't answer.
    """
    if without_setup(route):
        yield from gives_up(route, ground.place)
    pool, aws = pool_name(), ground.aws
    if by_its_own and route.credentials not in {SITE, OWNER}:
        aws = AwsRegion(route.region, endpoint=aws.endpoint, credentials=source(route.credentials, None))
    try:
        with aws_call("AnnexCredentials"):
            cloud = ec2_cloud(aws)
        yield from Preflight(aws, cloud, Pool(pool, pool)).findings(route, datetime.now(UTC))
    except (Refused, NotPermitted) as error:
        yield Finding(f"route {route.name}", False, str(error), settings_of(route))


def needs_no_setup(ground: Ground, routes: Sequence[Route]) -> bool:
    """Where no route needs anything of set-up, that it isn't there is no fault."""
    if not routes or not all(map(without_setup, routes)):
        return False
    try:
        return not any(ground.stacks.find(component.stack) for component in COMPONENTS)
    except NotPermitted:
        return True
