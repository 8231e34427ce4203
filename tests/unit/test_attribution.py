"""Which launch an instance came of, and what follows from it: what is expected still, and which fleet is spent."""

from dataclasses import replace
from datetime import timedelta

from annex_core.model.annex import LaunchState
from annex_core.model.plan import CancelFleets, CloseLaunch
from annex_core.model.snapshot import RegionView
from annex_core.model.supply import InstanceState
from annex_core.planner.holdings import remember
from annex_core.planner.plan import plan
from tests.unit.world import ALICE, NOW, annex, fleet, fleets, group, instance, known, launch, living

EARLY = timedelta(minutes=40)


def origin(of, id_="i-1"):
    return next(each.token for each in of.known if each.id == id_)


def test_an_instance_did_not_come_of_a_launch_that_aws_refused():
    refused = launch("t0", intended=NOW - EARLY, state=LaunchState.REFUSED, fleet=None)
    of = living(at=RegionView([instance()], [fleet()]), launches=[refused, launch()])
    assert origin(of) == "t1"


def test_an_instance_did_not_come_of_a_launch_that_was_given_up_before_it_began():
    given_up = launch("t0", intended=NOW - EARLY, closed=NOW - EARLY / 2)
    of = living(at=RegionView([instance()], [fleet()]), launches=[given_up, launch()])
    assert origin(of) == "t1"


def test_awss_own_tag_corrects_what_was_guessed_before_it_came():
    launches = [launch("t0", types=("c5.large",)), launch("t1")]
    of = living(
        at=RegionView([instance(fleet="sfr-t1")], [fleet()]), launches=launches, known=[known("i-1", token="t0")]
    )
    assert origin(of) == "t1"


def test_a_fleet_that_an_instance_names_is_not_spent_whatever_the_journal_says():
    launches = [launch("t0"), launch("t1", closed=NOW - timedelta(minutes=5))]
    of = living(
        at=RegionView([instance()], [fleet("t0"), fleet("t1")]), launches=launches, known=[known("i-1", token="t0")]
    )
    cancelled = [each.fleets for each in plan(of).actions if isinstance(each, CancelFleets)]
    assert not cancelled, "an instance that AWS has not tagged yet may be t1's"


def test_an_instance_that_one_listing_left_out_is_back_when_the_next_one_shows_it():
    left_out = known("i-1", gone=NOW - timedelta(minutes=1), joined=NOW - timedelta(minutes=20))
    of = living(at=RegionView([instance(launched=left_out.launched)], [fleet()]), launches=[launch()], known=[left_out])
    assert [each.gone for each in of.known] == [None]


def test_an_instance_that_was_ended_is_not_back_while_it_shuts_down():
    over = known("i-1", gone=NOW - timedelta(minutes=1))
    of = living(at=RegionView([instance(state=InstanceState.SHUTTING_DOWN)]), known=[over])
    assert remember(of) == ()
    assert of.known[0].gone == over.gone


def test_a_young_instance_that_a_listing_leaves_out_still_counts():
    """EC2 lists what has just begun in one answer and not in the next."""
    young = known("i-1", launched=NOW - timedelta(seconds=50))
    of = living([group(idle=2)], at=RegionView([], [fleet()]), launches=[launch(intended=NOW - EARLY)], known=[young])
    assert not fleets(of)


def test_a_launch_that_brought_fewer_than_its_closing_shows_is_closed_only_when_nothing_is_open():
    fresh = launch(intended=NOW - timedelta(seconds=5))
    of = living((), at=RegionView([], [fleet(state="submitted")]), launches=[fresh])
    assert not [each for each in plan(of).actions if isinstance(each, CloseLaunch)]


def test_a_launch_is_closed_when_its_time_is_over_though_it_seems_filled():
    """The machine credited to it may be another fleet's, and its own request still open."""
    old = launch(intended=NOW - EARLY)
    of = living(at=RegionView([instance()], [fleet()]), launches=[old], known=[known("i-1")])
    assert [each.launch for each in plan(of).actions if isinstance(each, CloseLaunch)] == [old]


def test_an_annex_is_not_finished_while_one_of_its_requests_has_no_answer():
    ended = replace(annex(), lease_ends=NOW)
    unanswered = launch(state=LaunchState.INTENDED, fleet=None)
    of = living((), at=RegionView(), annexes={ALICE: ended}, launches=[unanswered])
    assert plan(of).actions == ()


def test_an_instance_that_a_listing_tells_of_twice_came_of_one_launch():
    """AWS has not tagged it yet, and its launch asked for no second one."""
    twice = RegionView([instance(), instance()], [fleet()])
    of = living(at=twice, launches=[launch()])
    assert [(each.id, each.token) for each in of.known] == [("i-1", "t1")]
