"""What stops a launch, and what is only said: rules over what AWS told."""

from dataclasses import replace
from typing import Any

import pytest

from annex_core.account.preflight import Facts, Key, Subnet, preflight
from annex_core.model.hardware import InstanceType
from annex_core.model.quota import quota_code, vcpu_class
from annex_core.model.route import FleetApi, Market
from tests.unit.world import ROUTE

LARGE, GPU = InstanceType("c5.large", 2, 4096, "x86_64"), InstanceType("g5.xlarge", 4, 16384, "x86_64")
GOOD = Subnet("subnet-1", 250, public=True, table="rtb-1", ways=frozenset({"igw-1"}))
READY = Facts(
    types={"c5.large": LARGE},
    quotas={"L-34B43A08": 256},
    subnets=(GOOD,),
    services=frozenset({"spot.amazonaws.com", "spotfleet.amazonaws.com"}),
    keys=(),
    refusal=None,
    account="123456789012",
)


def bad(route: Any = ROUTE, **other: Any) -> list[Any]:
    return [each for each in preflight(route, replace(READY, **other)) if not each.good]


def test_an_account_that_is_ready_has_nothing_bad() -> None:
    assert bad() == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("c5.large", "L-34B43A08"),
        ("im4gn.large", "L-34B43A08"),
        ("t3.micro", "L-34B43A08"),
        ("g5.xlarge", "L-3819A6DF"),
        ("vt1.3xlarge", "L-3819A6DF"),
        ("p4d.24xlarge", "L-7212CCBC"),
        ("x2idn.16xlarge", "L-E3A00192"),
        ("f1.2xlarge", "L-88CF9481"),
        ("dl1.24xlarge", "L-85EED4F7"),
        ("inf2.xlarge", "L-B5D1601B"),
        ("trn1.2xlarge", "L-6B0D517C"),
        ("hpc7a.96xlarge", None),
        ("u-6tb1.56xlarge", None),
    ],
)
def test_a_type_counts_against_the_quota_of_its_class(name: str, expected: str | None) -> None:
    kind = vcpu_class(name)
    assert kind is not None
    assert quota_code(kind, Market.SPOT) == expected


@pytest.mark.parametrize("name", ["mac2.metal", "q1.large", ""])
def test_a_type_of_no_known_class_is_checked_against_no_quota(name: str) -> None:
    assert vcpu_class(name) is None


def test_one_class_with_room_is_enough_to_launch() -> None:
    [found] = bad(types={"c5.large": LARGE, "g5.xlarge": GPU}, quotas={"L-34B43A08": 256, "L-3819A6DF": 0})
    assert "class G and VT is 0" in found.says
    assert not found.stops


def test_a_quota_that_nobody_told_is_not_none() -> None:
    assert bad(quotas={}) == []


def test_a_quota_below_the_cap_is_said_and_is_no_fault() -> None:
    found = [*preflight(replace(ROUTE, max_vcpus=1000), READY)]
    assert any("fewer than AnnexMaxVcpus (1000)" in each.says for each in found)
    assert all(each.good for each in found)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"free": 0}, "has no free address"),
        ({"ways": frozenset()}, "no route leads out"),
        ({"public": False}, "get no public address"),
    ],
)
def test_subnets_stop_a_launch_only_when_all_are_bad(wrong: dict[str, Any], says: str) -> None:
    broken = replace(GOOD, id="subnet-2", **wrong)
    [alone] = bad(subnets=(broken,))
    [beside] = bad(subnets=(broken, GOOD))
    assert says in alone.says
    assert (alone.stops, beside.stops) == (True, False)
    assert alone.cure


def test_a_private_way_needs_no_public_address() -> None:
    assert bad(subnets=(replace(GOOD, public=False, ways=frozenset({"nat-1"})),)) == []
    assert bad(subnets=(replace(GOOD, public=False, ways=frozenset({"vgw-1", "vpce-1"})),)) == []


def test_a_route_table_that_aws_does_not_show_is_unknown_not_bad() -> None:
    assert bad(subnets=(replace(GOOD, table="", ways=frozenset()),)) == []


@pytest.mark.parametrize(
    ("market", "api", "needed"),
    [
        (Market.SPOT, FleetApi.SPOT_FLEET, 2),
        (Market.SPOT, FleetApi.EC2_FLEET, 1),
        (Market.SPOT, FleetApi.RUN_INSTANCES, 1),
        (Market.ON_DEMAND, FleetApi.SPOT_FLEET, 0),
    ],
)
def test_roles_and_grants_are_asked_of_who_launches(market: Market, api: FleetApi, needed: int) -> None:
    route = replace(ROUTE, market=market, fleet_api=api)
    key = Key("arn:aws:kms:us-east-2:123456789012:key/1", usable=True, lent=frozenset())
    found = bad(route, services=frozenset(), keys=(key,))
    roles = [each for each in found if "create-service-linked-role" in each.cure]
    grants = [each for each in found if "create-grant" in each.cure]
    assert (len(roles), len(grants)) == (needed, needed)
    assert not any(each.stops for each in found)


def test_only_a_policy_s_refusal_stops_by_itself() -> None:
    [forbidden] = bad(refusal="UnauthorizedOperation", forbidden=True)
    [refused] = bad(refusal="InvalidGroup.NotFound")
    assert (forbidden.stops, refused.stops) == (True, False)
    assert "condor_annex policies daily" in forbidden.cure
