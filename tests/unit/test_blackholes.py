"""Images, types and zones whose machines come to nothing are stopped after a few, and tried again with one."""

from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType

import pytest

from annex_core.adapters.history import History
from annex_core.model.names import AnnexKey
from annex_core.model.outcomes import Outcomes
from annex_core.model.route import Market
from annex_core.model.snapshot import RegionView
from annex_core.planner.blackholes import BlackHoles, pause
from annex_core.planner.plan import plan
from tests.unit.world import (
    ALICE,
    NOW,
    REGION,
    ROUTE,
    annex,
    drained,
    fleet,
    fleets,
    group,
    instance,
    known,
    launch,
    living,
    sentence,
    setback,
    slot,
)

BOB = AnnexKey("bob", "red")
CAROL = AnnexKey("carol", "green")
A, B = "us-east-2a", "us-east-2b"
EARLIER = NOW - timedelta(hours=4)
JUST = NOW - timedelta(minutes=10)


def machine(id_, how, *, at=JUST, lived=timedelta(minutes=5), zone=A, **given):
    """Of the route's image, launched then: `lost` never joined, `well` works, `flaps` joined and vanished."""
    fate = {
        "lost": {"gone": at + lived},
        "well": {"joined": at + timedelta(minutes=2)},
        "flaps": {"joined": at + timedelta(minutes=2), "gone": at + timedelta(minutes=3)},
    }[how]
    return known(id_, **{"launched": at, "image": "ami-1", "zone": zone, **fate, **given})


def row(how, count=3, **given):
    """So many in a row, a second apart."""
    at = given.pop("at", JUST)
    kind = given.get("type", "c5.large")
    return [machine(f"i-{how}-{kind}-{n}", how, at=at + timedelta(seconds=n), **given) for n in range(count)]


def of(machines, groups=None, **given):
    """The annex's machines that are alive are up and full."""
    alive = [each for each in machines if each.gone is None]
    listed = [instance(each.id, type=each.type, launched=each.launched, zone=each.zone) for each in alive]
    at = RegionView(listed, [fleet()])
    full = [slot(each.id, type=each.type, free_cpus=0) for each in alive if each.joined]
    return living(
        [group()] if groups is None else groups, **{"at": at, "known": machines, "slots": full, "launches": [], **given}
    )


def holes_of(snapshot):
    return BlackHoles(snapshot).of(ROUTE, snapshot)


class TestAnImage:
    def test_whose_machines_never_join_is_stopped_for_all_annexes_of_the_route(self):
        both = {ALICE: annex(), BOB: annex(BOB)}
        at = of(row("lost"), groups=[group(key=BOB)], annexes=both)
        assert not fleets(at)
        assert "the last 3 machines of image ami-1 by route spot never joined the pool" in sentence(at, BOB)

    def test_is_told_to_administrators(self):
        (trouble,) = [each for each in plan(of(row("lost"))).troubles if "image" in each]
        assert (
            trouble == f"route spot in {REGION}: the last 3 machines of image ami-1 by route spot never joined the pool"
        )

    def test_that_two_machines_did_not_join_of_goes_on(self):
        assert fleets(of(row("lost", 2)))

    def test_is_tried_again_with_one_machine_after_half_an_hour(self):
        (asked,) = fleets(of(row("lost", at=NOW - timedelta(minutes=40)), groups=[group(idle=500)]))
        assert asked.target == 1

    def test_is_not_tried_twice_at_a_time(self):
        lost = row("lost", at=NOW - timedelta(minutes=40))
        booting = known("i-new", launched=NOW - timedelta(minutes=1), image="ami-1")
        at = of([*lost, booting], groups=[group(cpus=4)])
        assert not fleets(at)

    def test_is_tried_by_one_annex_alone(self):
        both = {ALICE: annex(), BOB: annex(BOB)}
        at = of(row("lost", at=NOW - timedelta(minutes=40)), groups=[group(), group(key=BOB)], annexes=both)
        assert [asked.target for asked in fleets(at)] == [1]

    def test_is_tried_by_one_annex_alone_where_both_begin_with_it(self):
        at = of(row("lost", at=NOW - timedelta(minutes=40)), groups=[group(key=BOB), group(key=CAROL)])
        (asked,) = fleets(at)
        told = {key: sentence(at, key) for key in (BOB, CAROL) if key != asked.annex.key}
        assert asked.target == 1
        assert all("one is tried" in each for each in told.values())

    def test_waits_twice_as_long_after_each_further_failure_and_no_longer_than_eight_hours(self):
        assert [pause(n) / timedelta(minutes=30) for n in (3, 4, 5, 6, 7, 8, 80)] == [1, 2, 4, 8, 16, 16, 16]

    def test_is_forgiven_after_a_day(self):
        assert fleets(of(row("lost", 9, at=NOW - timedelta(hours=25))))

    def test_is_as_before_once_a_machine_has_joined(self):
        good = machine("i-good", "well", at=NOW - timedelta(minutes=8))
        at = of([*row("lost"), good], groups=[group(idle=4, cpus=2)])
        assert sum(each.target for each in fleets(at)) > 1

    def test_of_a_route_that_others_fall_back_to_is_judged_by_their_machines_too(self):
        other = replace(ROUTE, name="other", image="ami-1")
        routes = {"spot": replace(ROUTE, image="ami-0", fallback=("other",)), "other": other}
        at = of(row("lost"), routes=routes)
        assert BlackHoles(at).of(other, at).closed
        assert BlackHoles(at).of(routes["spot"], at).closed is None

    def through_a_fallback(self, lost=NOW - timedelta(minutes=40), **given):
        """Alice's annex has only the other route left, which is bob's own; its machines have come to nothing."""
        other = replace(ROUTE, name="other", image="ami-9", instance_types=("c5.xlarge",))
        routes = {"spot": replace(ROUTE, instance_types=("c5.large",), fallback=("other",)), "other": other}
        gone = row("lost", at=lost, image="ami-9", type="c5.xlarge", annex=annex(BOB).id)
        both = {ALICE: annex(), BOB: annex(BOB, route="other")}
        asking = [group(), group(key=BOB, route="other")]
        return of(gone, groups=asking, annexes=both, routes=routes, setbacks=[setback()], **given)

    def test_is_tried_by_one_annex_alone_though_another_falls_back_to_its_route(self):
        (asked,) = fleets(self.through_a_fallback())
        assert (asked.route.name, asked.target) == ("other", 1)

    def test_that_an_annex_tries_by_a_fallback_is_tried_by_no_other(self):
        open_ = launch("t9", route="other", types=("c5.xlarge",), intended=NOW - timedelta(minutes=2))
        at = self.through_a_fallback(launches=[open_])
        assert not fleets(at)
        assert "one is tried" in sentence(at, BOB)

    def test_is_stopped_for_annexes_that_fall_back_to_its_route_too(self):
        at = self.through_a_fallback(lost=JUST)
        assert not fleets(at)
        assert "the last 3 machines of image ami-9 by route other never joined the pool" in sentence(at)

    def test_is_tried_with_one_machine_by_all_markets_together(self):
        """Spot machines of one type can be had, and on-demand ones of the other would be."""
        route = replace(ROUTE, instance_types=("c5.large", "c5.4xlarge"), market=Market.SPOT_THEN_ON_DEMAND)
        asking = [group(), group(cpus=12)]
        gone = [setback("c5.4xlarge", since=NOW - timedelta(hours=1), tries=6)]
        lost = row("lost", at=NOW - timedelta(minutes=40))
        assert len(fleets(of([], groups=asking, routes={"spot": route}, setbacks=gone))) == 2
        assert [asked.target for asked in fleets(of(lost, groups=asking, routes={"spot": route}, setbacks=gone))] == [1]

    def test_is_tried_though_its_annex_waits_for_a_machine_by_a_fallback(self):
        at = of(
            row("lost", at=NOW - timedelta(minutes=40)),
            groups=[group(key=BOB)],
            annexes={ALICE: annex(), BOB: annex(BOB)},
            launches=[launch(route="other", types=("c5.xlarge",), intended=NOW - timedelta(minutes=2))],
        )
        assert [asked.target for asked in fleets(at)] == [1]

    def test_that_was_exchanged_begins_anew(self):
        at = of(row("lost", annex="another"), routes={"spot": replace(ROUTE, image="ami-2")})
        assert fleets(at)

    def test_is_not_blamed_for_what_a_create_by_hand_put_into_its_machines(self):
        both = {ALICE: annex(overrides={"user_data": "exit 1"}), BOB: annex(BOB)}
        assert fleets(of(row("lost"), groups=[group(key=BOB)], annexes=both))

    def test_is_not_blamed_for_machines_that_aws_took_back_while_they_booted(self):
        assert fleets(of(row("lost", interrupted=JUST)))

    def test_whose_machines_join_and_vanish_is_stopped(self):
        at = of(row("flaps"))
        assert not fleets(at)
        assert "left the pool as soon as they had joined" in sentence(at)

    def test_is_not_blamed_for_machines_that_left_soon_after_a_job(self):
        machines = row("flaps")
        assert fleets(of(machines, outcomes={each.id: Outcomes(well=1) for each in machines}))

    def test_is_not_blamed_where_machines_leave_at_once_by_their_route(self):
        assert fleets(of(row("flaps"), routes={"spot": replace(ROUTE, idle_timeout=timedelta(minutes=1))}))


class TestAType:
    GOOD = (machine("i-good", "well", at=EARLIER, type="c5.xlarge"),)

    def test_whose_machines_never_join_is_left_out_and_the_others_serve(self):
        (asked,) = fleets(of([*self.GOOD, *row("lost")]))
        assert asked.types
        assert "c5.large" not in asked.types

    def test_that_is_the_only_one_for_the_jobs_keeps_them_waiting_and_says_so(self):
        small = [group(requirements='TARGET.EC2InstanceType == "c5.large"')]
        at = of([*self.GOOD, *row("lost")], groups=small)
        assert not fleets(at)
        assert (
            "the last 3 machines of type c5.large never joined the pool; one is tried again at 12:25 UTC"
            in sentence(at)
        )

    def test_is_tried_again_with_one(self):
        small = [group(idle=50, requirements='TARGET.EC2InstanceType == "c5.large"')]
        at = of([*self.GOOD, *row("lost", at=NOW - timedelta(minutes=40))], groups=small)
        assert [(each.types, each.target) for each in fleets(at)] == [(("c5.large",), 1)]
        assert "one is tried" in sentence(at)

    def test_on_trial_stands_beside_no_other_in_a_fleet(self):
        at = of([*self.GOOD, *row("lost", at=NOW - timedelta(minutes=40))], groups=[group(idle=50)])
        assert not [each for each in fleets(at) if "c5.large" in each.types and len(each.types) > 1]

    def test_is_left_out_though_machines_of_another_type_go_on_joining(self):
        later = machine("i-later", "well", at=NOW - timedelta(minutes=6), type="c5.xlarge")
        (asked,) = fleets(of([*self.GOOD, *row("lost"), later]))
        assert "c5.large" not in asked.types

    def test_does_not_stop_its_annex(self):
        assert holes_of(of([*self.GOOD, *row("lost")])).closed is None


class TestAZone:
    def test_where_one_type_never_joins_while_it_does_elsewhere_is_left_out_for_that_type(self):
        machines = [machine("i-good", "well", at=EARLIER, zone=B), *row("lost", zone=A)]
        (asked,) = fleets(of(machines, zones={REGION: {"subnet-1": A, "subnet-2": B}}))
        assert asked.left_out == {("c5.large", A)}

    def test_where_no_type_joins_is_left_out_for_all(self):
        lost = [*row("lost", 2), *row("lost", 2, type="c5.xlarge")]
        good = [machine("i-good", "well", at=EARLIER, zone=B)]
        seen = holes_of(of([*good, *lost]))
        assert {*seen.left_out} == {(name, A) for name in ROUTE.instance_types}


class TestAMachineThatBurnsThroughJobs:
    WELL = MappingProxyType({"i-good": Outcomes(well=3)})
    BURNS = Outcomes(burned=5)

    def burning(self, outcomes, count=1, **given):
        good = machine("i-good", "well", at=EARLIER, type="c5.xlarge")
        return of([good, *row("well", count)], outcomes=outcomes, **given)

    def test_gets_no_more_of_them_and_is_told(self):
        at = self.burning({**self.WELL, "i-well-c5.large-0": self.BURNS})
        assert drained(at) == ["i-well-c5.large-0"]
        assert any("i-well-c5.large-0 fails job after job" in each for each in plan(at).troubles)

    def test_is_told_once(self):
        at = self.burning({**self.WELL, "i-well-c5.large-0": self.BURNS})
        told = [replace(each, drained=NOW) if each.id == "i-well-c5.large-0" else each for each in at.known]
        assert drained(replace(at, known=told)) == []

    @pytest.mark.parametrize(
        "outcomes",
        [
            {"i-well-c5.large-0": Outcomes(burned=50)},
            {"i-good": Outcomes(burned=9), "i-well-c5.large-0": Outcomes(burned=50)},
            {**WELL, "i-well-c5.large-0": Outcomes(burned=4)},
            {**WELL, "i-well-c5.large-0": Outcomes(burned=50, well=1)},
        ],
        ids=["no job goes well anywhere", "they fail everywhere", "too few", "one went well"],
    )
    def test_is_left_alone_where_it_may_as_well_be_the_jobs(self, outcomes):
        assert drained(self.burning(outcomes)) == []

    def test_makes_a_hole_of_its_type_with_others_like_it(self):
        ids = [f"i-well-c5.large-{n}" for n in range(3)]
        at = self.burning({**self.WELL, **dict.fromkeys(ids, self.BURNS)}, count=3)
        (asked,) = fleets(at)
        assert "c5.large" not in asked.types
        assert any("type c5.large failed job after job" in each for each in plan(at).troubles)


class TestWhatHistoryTells:
    def look(self, tmp_path, *ads):
        base = {"ClusterId": 1, "JobStatus": 4, "Owner": "alice", "JobCurrentStartDate": 1000}
        history = History(
            tmp_path / "runtimes.json",
            lambda mark: [{**base, "ProcId": n, "LastRemoteHost": "slot1_1@i-0a", **ad} for n, ad in enumerate(ads)],
        )
        history.look()
        return history.outcomes()

    def test_a_job_that_fails_at_once_burned(self, tmp_path):
        at_once = {"CompletionDate": 1003}
        found = self.look(tmp_path, {"ExitCode": 1, **at_once}, {"ExitBySignal": True, **at_once})
        assert found == {"i-0a": Outcomes(burned=2)}

    def test_one_that_ends_well_or_fails_after_a_while_went_well(self, tmp_path):
        found = self.look(tmp_path, {"ExitCode": 0, "CompletionDate": 1003}, {"ExitCode": 1, "CompletionDate": 2000})
        assert found == {"i-0a": Outcomes(well=2)}

    @pytest.mark.parametrize(
        "other", [{"LastRemoteHost": "slot1@desktop"}, {"JobStatus": 3}], ids=["at home", "removed"]
    )
    def test_other_jobs_tell_nothing(self, tmp_path, other):
        assert self.look(tmp_path, {"ExitCode": 1, "CompletionDate": 1003, **other}) == {}
