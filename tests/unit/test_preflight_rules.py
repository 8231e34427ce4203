"""What stops a launch, and what is only said: rules over what AWS told."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annex_core.account.preflight import Facts, Key, Objection, Subnet, preflight
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
    objections=(),
    account="123456789012",
)


def bad(route: Any = ROUTE, **other: Any) -> list[Any]:
    """None without a word on what to do."""
    found = [each for each in preflight(route, replace(READY, **other)) if not each.good]
    assert [each.says for each in found if not each.cure] == []
    return found


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
    words = ("RequestSpotFleet: UnauthorizedOperation", "RunInstances: InvalidGroup.NotFound")
    forbidden, refused = bad(objections=[Objection(words[0], True), Objection(words[1], False)])
    assert (forbidden.stops, refused.stops) == (True, False)
    assert [each.says for each in (forbidden, refused)] == [f"AWS would not launch it: {each}" for each in words]
    assert "condor_annex policies daily; " in forbidden.cure
    assert refused.cure == f"condor_annex config -route {ROUTE.name}, which says where each setting stands"


@pytest.mark.parametrize(
    ("api", "name"), [(FleetApi.RUN_INSTANCES, "no-admin"), (FleetApi.EC2_FLEET, "no-admin-fleet")]
)
def test_what_a_policy_forbids_is_cured_by_the_policy_that_the_route_needs(api: FleetApi, name: str) -> None:
    route = replace(ROUTE, fleet_api=api, bucket=None, fleet_role=None)
    [forbidden] = bad(route, objections=[Objection("UnauthorizedOperation", True)])
    assert f"condor_annex policies {name}; " in forbidden.cure


def test_where_the_region_has_no_type_of_the_route_s_the_cure_lists_those_it_has() -> None:
    [found] = bad(types={})
    assert found.cure.startswith(f"aws ec2 describe-instance-type-offerings --region {ROUTE.region}, and name")


SUBNETS = st.builds(
    Subnet,
    id=st.sampled_from(["subnet-1", "subnet-2"]),
    free=st.integers(0, 1),
    public=st.booleans(),
    table=st.sampled_from(["", "rtb-1"]),
    ways=st.frozensets(st.sampled_from(["igw-1", "nat-1"])),
)
SERVICES = st.frozensets(st.sampled_from(["spot.amazonaws.com", "spotfleet.amazonaws.com"]))
ROLES = st.frozensets(st.sampled_from(["AWSServiceRoleForEC2Spot", "AWSServiceRoleForEC2SpotFleet"]))
FACTS = st.builds(
    Facts,
    types=st.sampled_from([{}, {"c5.large": LARGE}, {"c5.large": LARGE, "g5.xlarge": GPU}]),
    quotas=st.dictionaries(st.sampled_from(["L-34B43A08", "L-3819A6DF", "L-1216C47A"]), st.sampled_from([0.0, 256.0])),
    subnets=st.none() | st.lists(SUBNETS, max_size=2),
    services=st.none() | SERVICES,
    keys=st.none() | st.lists(st.builds(Key, arn=st.just("arn:key"), usable=st.booleans(), lent=ROLES), max_size=2),
    objections=st.lists(st.builds(Objection, words=st.just("RunInstances: no"), forbidden=st.booleans()), max_size=2),
    unknown=st.just(()) | st.just(("GetRole: AccessDenied",)),
)


@given(FACTS, st.sampled_from(Market), st.sampled_from(FleetApi))
def test_whatever_is_bad_names_what_to_do(facts: Facts, market: Market, api: FleetApi) -> None:
    found = [*preflight(replace(ROUTE, market=market, fleet_api=api), facts)]
    assert [each.says for each in found if not each.good and not each.cure] == []
