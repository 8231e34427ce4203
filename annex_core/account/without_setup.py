"""No-admin mode: a route that needs nothing of what set-up makes, and what it does without."""

from collections.abc import Iterator

from annex_core.account.checks import Finding, Place
from annex_core.account.right import PolicyName
from annex_core.model.route import FleetApi, Route


def without_setup(route: Route) -> bool:
    return route.bucket is None and route.fleet_role is None and route.api is not FleetApi.SPOT_FLEET


def its_policy(route: Route) -> PolicyName:
    """The one that the daemon needs for this route."""
    if not without_setup(route):
        return "daily"
    return "no-admin-fleet" if route.api is FleetApi.EC2_FLEET else "no-admin"


def gives_up(route: Route, place: Place) -> Iterator[Finding]:
    subject = f"route {route.name}"
    needs = f"it needs nothing that set-up makes, and the rights of condor_annex policies {its_policy(route)}"
    yield Finding(subject, True, f"no-admin mode: by {route.api} and user data, {needs}")
    if route.reaper:
        says = "it waits for the heartbeat of a reaper, which only set-up makes"
        yield Finding(subject, False, says, f"{place.setup}; or set AnnexReaper = False in the route", stops=True)
    else:
        says = "gives up the reaper: when access point and machine both fail, nothing ends what is past its lease"
        yield Finding(subject, True, says)
    says = "gives up an outer bound at AWS: no fleet request ends the machines at AnnexMaxLifetime"
    yield Finding(subject, True, says)
    if not route.pilot:
        says = "gives up the token's secrecy from whoever may read user data in the account"
        yield Finding(subject, True, f"{says} (ec2:DescribeInstanceAttribute)")
