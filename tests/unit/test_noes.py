"""What AWS's no to a launch says of types, zones and quotas, and what shows that it holds no more."""

from dataclasses import replace
from datetime import timedelta

import pytest

from annex_core.errors import NoCapacity, NotPermitted, OverQuota, OverVcpuQuota, Refused
from annex_core.model.route import Market
from annex_core.model.snapshot import RegionView
from annex_core.planner.noes import lifted, subjects
from tests.unit.world import NOW, REGION, instance, launch, setback, snapshot

A, B = "us-east-2a", "us-east-2b"
ASKED = launch(
    types=("c5.large", "g5.xlarge"), pools=(("c5.large", A), ("c5.large", B), ("g5.xlarge", A), ("g5.xlarge", B))
)
MINUTE = timedelta(minutes=1)


def concerned(error, name="", zone="", of=ASKED):
    return [(each.type, each.zone, each.quota) for each, _ in subjects(of, error, name, zone)]


def test_no_capacity_concerns_all_that_the_launch_could_draw_from():
    assert concerned(NoCapacity("none")) == [(*pool, "") for pool in ASKED.pools]


def test_no_capacity_of_one_type_in_one_zone_concerns_that():
    assert concerned(NoCapacity("none"), "c5.large", B) == [("c5.large", B, "")]


def test_a_launch_of_older_journals_is_short_in_all_zones():
    assert concerned(NoCapacity("none"), of=replace(ASKED, pools=())) == [("c5.large", "", ""), ("g5.xlarge", "", "")]


def test_a_quota_of_vcpus_concerns_the_classes_of_its_types():
    assert concerned(OverVcpuQuota("over")) == [("", "", "G and VT"), ("", "", "Standard")]
    assert concerned(OverVcpuQuota("over"), "g5.xlarge") == [("", "", "G and VT")]


def test_another_quota_concerns_all_of_the_market_in_the_region():
    assert concerned(OverQuota("MaxSpotFleetRequestCountExceeded")) == [("", "", "")]


def test_the_administrator_is_told_which_quota():
    [(_, spot)] = subjects(ASKED, OverVcpuQuota("over"), "c5.large")
    [(_, on_demand)] = subjects(replace(ASKED, market=Market.ON_DEMAND), OverVcpuQuota("over"), "c5.large")
    assert "Spot vCPUs of class Standard in us-east-2 (L-34B43A08)" in spot
    assert "on-demand vCPUs of class Standard in us-east-2 (L-1216C47A)" in on_demand


@pytest.mark.parametrize("error", [Refused("no such image"), NotPermitted("no")])
def test_what_no_time_will_cure_is_no_setback(error):
    assert concerned(error) == []


def over(*machines, quota="", type_="c5.large", zone=A):
    known = setback(type_, zone, quota=quota, ago=5 * MINUTE)
    view = RegionView(instances=machines)
    return [each.lifted for each in lifted(snapshot(setbacks=[known], regions={REGION: view}))]


def came(ago=MINUTE, **given):
    return instance(**{"zone": A, "launched": NOW - ago, **given})


def test_a_machine_that_came_since_shows_that_it_is_over():
    assert over(came()) == [NOW - MINUTE]


@pytest.mark.parametrize(
    "other",
    [
        came(ago=timedelta(hours=1)),
        came(ago=5 * MINUTE - timedelta(seconds=0.5)),
        came(zone=B),
        came(type="m5.large"),
        came(market=Market.ON_DEMAND),
    ],
)
def test_machines_of_before_or_of_elsewhere_show_nothing(other):
    assert over(other) == []


def test_a_machine_of_the_class_shows_that_the_quota_has_room():
    assert over(came(type="m7g.large"), quota="Standard", type_="", zone="") == [NOW - MINUTE]
    assert over(came(type="g5.large"), quota="Standard", type_="", zone="") == []


def test_the_clock_that_machines_begin_by_is_aws_s():
    known = setback("c5.large", A, ago=5 * MINUTE)
    view = RegionView(instances=[came(ago=timedelta(0))], ahead=timedelta(minutes=10))
    assert lifted(snapshot(setbacks=[known], regions={REGION: view})) == []
