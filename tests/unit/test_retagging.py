"""The lease is a tag that can be moved: later, sooner, and for what comes late; never past its own outer bound."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from annex_core.model import tags
from annex_core.model.annex import Ending
from annex_core.model.plan import Retag, Terminate
from annex_core.model.snapshot import RegionView
from annex_core.planner.outlay import committed
from annex_core.planner.plan import plan
from tests.unit.world import ALICE, NOW, annex, carried, fleet, fleets, group, instance, known, launch, living, slot

LATER = annex(lease_ends=NOW + timedelta(hours=12))
SOONER = annex(lease_ends=NOW + timedelta(hours=1))


def retags(life, view):
    return [each for each in plan(living([], at=view, annexes={ALICE: life})).actions if isinstance(each, Retag)]


def applied(view, actions):
    for action in actions:
        for wanted, ids in action.changes:
            view = replace(
                view,
                fleets=[replace(e, tags={**e.tags, **dict(wanted)}) if e.id in ids else e for e in view.fleets],
                instances=[replace(e, tags={**e.tags, **dict(wanted)}) if e.id in ids else e for e in view.instances],
            )
    return view


SHOWN = RegionView([instance("i-1"), instance("i-2")], [fleet("t1")])


def test_an_extended_lease_is_written_to_fleets_first():
    (action,) = retags(LATER, SHOWN)
    ((wanted, ids),) = action.changes
    assert dict(wanted) == {tags.LEASE_ENDS: tags.stamp(LATER.lease_ends)}
    assert ids == ("sfr-t1", "i-1", "i-2")


def test_a_shortened_lease_is_written_to_both():
    ((_, ids),) = retags(SOONER, SHOWN)[0].changes
    assert set(ids) == {"sfr-t1", "i-1", "i-2"}


def test_what_carries_the_lease_already_is_left_alone():
    assert retags(annex(), SHOWN) == []


def test_a_machine_that_comes_late_gets_the_lease_too():
    view = applied(SHOWN, retags(LATER, SHOWN))
    late = replace(view, instances=[*view.instances, instance("i-late")])
    ((_, ids),) = retags(LATER, late)[0].changes
    assert ids == ("i-late",)


def test_nothing_is_promised_past_its_own_outer_bound():
    bound = NOW + timedelta(hours=23)
    far = annex(lease_ends=NOW + timedelta(hours=40), ends_at_latest=NOW + timedelta(hours=47))
    ((wanted, _),) = retags(far, SHOWN)[0].changes
    assert dict(wanted)[tags.LEASE_ENDS] == tags.stamp(bound)


def test_another_annex_s_machines_are_left_alone():
    other = carried(replace(ALICE, name="blue2"))
    assert retags(LATER, RegionView([instance("i-9", tags=other)], [])) == []


def test_a_lease_that_was_made_unreadable_is_mended():
    broken = instance("i-1", tags=carried() | {tags.LEASE_ENDS: "tomorrow"})
    ((wanted, ids),) = retags(annex(), RegionView([broken], []))[0].changes
    assert (dict(wanted)[tags.LEASE_ENDS], ids) == (tags.stamp(annex().lease_ends), ("i-1",))


def test_an_annex_that_drains_tells_its_machines_so():
    life = annex(ending=Ending.DRAIN, ending_since=NOW)
    busy = [slot("i-1"), slot("i-1", name="slot1_1@i-1", claimed=True)]
    made = living([], at=RegionView([instance("i-1")], []), annexes={ALICE: life}, slots=busy)
    (action,) = [each for each in plan(made).actions if isinstance(each, Retag)]
    assert dict(action.changes[0][0])[tags.DRAINING] == tags.stamp(NOW)


@given(st.integers(-60, 60 * 30), st.integers(1, 60 * 48))
def test_one_round_of_tags_is_enough_whatever_the_lease(minutes, bound):
    life = annex(lease_ends=NOW + timedelta(minutes=max(minutes, 1)))
    own = carried() | {tags.ENDS_AT_LATEST: tags.stamp(NOW + timedelta(minutes=bound))}
    view = RegionView([instance("i-1", tags=own), instance("i-2")], [fleet("t1")])
    after = applied(view, retags(life, view))
    assert retags(life, after) == []
    for each in (*after.instances, *after.fleets):
        assert tags.moment(each.tags, tags.LEASE_ENDS) <= tags.moment(each.tags, tags.ENDS_AT_LATEST)


def test_a_clock_that_runs_ahead_of_aws_ends_nothing_early():
    """Ours says that the lease is over; by AWS's, which its tags are read by, there are five minutes left."""
    due = carried() | {tags.LEASE_ENDS: tags.stamp(NOW - timedelta(minutes=5))}
    life = annex(lease_ends=NOW + timedelta(hours=1))
    behind = timedelta(minutes=-10)
    fast = living([], at=RegionView([instance("i-1", tags=due)], [], ahead=behind), annexes={ALICE: life})
    right = living([], at=RegionView([instance("i-1", tags=due)], []), annexes={ALICE: life})
    ended = [[each for each in plan(made).actions if isinstance(each, Terminate)] for made in (fast, right)]
    assert ended[0] == []
    assert ended[1] != []


class TestPastTheOuterBound:
    life = annex(lease_ends=NOW + timedelta(hours=30), ends_at_latest=NOW + timedelta(hours=47))

    def world(self, bound, jobs=1):
        asked = launch(
            "t1", 1, ends_at_latest=bound, closed=NOW - timedelta(hours=1), intended=NOW - timedelta(hours=9)
        )
        return living(
            [group(jobs)],
            at=RegionView([instance("i-1", fleet="sfr-t1")], [fleet("t1")]),
            annexes={ALICE: self.life},
            launches=[asked],
            known=[known("i-1", joined=NOW)],
            slots=[slot("i-1")],
        )

    def test_a_machine_at_its_bound_is_no_room_for_jobs_and_new_ones_carry_the_annex_on(self):
        (asked,) = fleets(self.world(NOW + timedelta(minutes=2)))
        assert asked.as_launch("t2", NOW).ends_at_latest == self.life.ends_at_latest

    def test_one_that_has_time_left_serves_them(self):
        assert fleets(self.world(NOW + timedelta(hours=2))) == []

    def test_money_is_reserved_to_each_machine_s_own_end(self):
        asked = launch("t1", 1, ends_at_latest=NOW + timedelta(hours=1))
        came = known("i-1", launched=NOW, hourly_ceiling=Decimal(1))
        assert committed(self.life, [came], [], NOW, launches=[asked]).known == 1
        assert committed(self.life, [came], [], NOW, launches=[]).known == 30


def test_where_our_clock_is_behind_nothing_is_launched_that_aws_s_clock_ends_at_once():
    """By ours the lease has 12 minutes left, by AWS's 2; or 6, and it has ended."""
    for left in (12, 6):
        life = annex(lease_ends=NOW + timedelta(minutes=left))
        view = RegionView(ahead=timedelta(minutes=10))
        assert fleets(living([group(3)], at=view, annexes={ALICE: life})) == []
        assert fleets(living([group(3)], at=RegionView(), annexes={ALICE: replace(life, started=NOW)}))
