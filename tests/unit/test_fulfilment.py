"""A fleet that fulfils little of what it was asked for: the rest comes from elsewhere, neither twice nor never."""

from dataclasses import replace
from datetime import timedelta

from annex_core.model.plan import CancelFleets, CloseLaunch, Terminate
from annex_core.model.snapshot import RegionView
from annex_core.planner.plan import plan
from tests.unit.world import NOW, ROUTE, TYPES, fleet, fleets, group, instance, launch, living, setback, slot


class TestAFleetThatFulfilsLittle:
    """3 of 100 machines came; nothing more was heard of the others."""

    MANY = replace(ROUTE, max_instances=200, max_lifetime=timedelta(hours=24))

    def of(self, *, age, closed=None):
        request = launch(target=100, intended=NOW - age, closed=closed)
        came = [instance(f"i-{n}", launched=NOW - age) for n in range(3)]
        full = [slot(each.id, free_cpus=0) for each in came]
        at = RegionView(came, [fleet(target=100, fulfilled=3.0, created=NOW - age)])
        return living([group(idle=194)], at=at, launches=[request], slots=full, routes={"spot": self.MANY})

    def test_is_waited_for_and_not_asked_for_twice(self):
        at = self.of(age=timedelta(minutes=9))
        assert not fleets(at)
        assert not [each for each in plan(at).actions if isinstance(each, CloseLaunch)]

    def test_is_closed_after_annex_fulfil_within_and_its_machines_stay(self):
        decided = plan(self.of(age=timedelta(minutes=10))).actions
        assert [each.launch.token for each in decided if isinstance(each, CloseLaunch)] == ["t1"]
        assert not [each for each in decided if isinstance(each, Terminate | CancelFleets)]

    def test_is_asked_for_anew_once_it_is_closed_and_no_more_than_that(self):
        at = self.of(age=timedelta(minutes=11), closed=NOW - timedelta(seconds=30))
        asked = fleets(at)
        assert sum(each.target * min(TYPES[name].vcpus for name in each.types) for each in asked) == 194

    def test_is_asked_for_elsewhere_where_aws_has_said_that_it_has_none(self):
        at = self.of(age=timedelta(minutes=11), closed=NOW - timedelta(seconds=30))
        asked = fleets(replace(at, setbacks=[setback("c5.large", ago=timedelta(0))]))
        assert asked
        assert not [each for each in asked if "c5.large" in each.types]
