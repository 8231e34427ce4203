"""The reaper's one rule and its order, over a region that is a few lists."""

from datetime import timedelta

import pytest

from annex_core.errors import NotPermitted, Refused, Throttled, Unavailable
from annex_core.model import tags
from annex_core.planner.leases import Leased
from annex_core.reaper.region import Fleet, Template
from annex_core.reaper.run import LATE, run
from tests.unit.world import NOW, carried

HOUR = timedelta(hours=1)


def leased(id_, *, ends=NOW - HOUR, since=NOW - 3 * HOUR, state="running", **more):
    """A thing of alice's blue; tags given as None are missing."""
    its = {**carried(), tags.LEASE_ENDS: tags.stamp(ends), **{tags.PREFIX + key: more[key] for key in more}}
    return Leased(id_, state, since, {key: value for key, value in its.items() if value is not None})


def fleet(id_, *, target=2, fulfilled=2, state="active", **more):
    return Fleet(leased(id_, state=state, **more), target, fulfilled)


class FakeRegion:
    """AWS as the reaper sees it; what is ended shows as ended."""

    def __init__(self, fleets=(), instances=(), templates=(), freeze="[]"):
        self.listed = {each.lease.id: each for each in fleets}
        self.running = {each.id: each for each in instances}
        self.held_templates = list(templates)
        self.parameter = freeze
        self.protected = set()
        self.open = {}
        self.calls = []
        self.errors = {}
        self.meanwhile = lambda: None
        self.heartbeat = None

    def _called(self, name, *what):
        self.calls.append((name, *what))
        if self.errors.get(name):
            raise self.errors[name]

    def now(self):
        return NOW

    def freeze(self):
        self._called("freeze")
        return self.parameter

    def fleets(self):
        self._called("fleets")
        return list(self.listed.values())

    def instances(self):
        self._called("instances")
        found = list(self.running.values())
        self.meanwhile()
        return found

    def these_fleets(self, ids):
        self._called("these_fleets")
        return [self.listed[each] for each in ids]

    def these_instances(self, ids):
        self._called("these_instances")
        return [self.running[each] for each in ids if each in self.running]

    def open_requests(self, fleets):
        return [each for fleet in fleets for each in self.open.get(fleet, ())]

    def templates(self, bounds):
        self._called("templates")
        return self.held_templates

    def cancel_fleets(self, ids, *, terminate):
        self._called("cancel", tuple(ids), terminate)
        return {each: "internalError: not now" for each in ids if each in self.protected}

    def cancel_open_requests(self, ids):
        self._called("close", tuple(ids))

    def terminate(self, ids):
        self._called("terminate", tuple(ids))
        if self.protected & set(ids):
            raise Refused("TerminateInstances: OperationNotPermitted: it is protected")
        for each in ids:
            del self.running[each]

    def delete_template(self, template):
        self._called("delete", template)

    def leave_heartbeat(self, text):
        self.heartbeat = text

    def did(self, name):
        return [call[1:] for call in self.calls if call[0] == name]


def reap(region):
    said = []
    report = run(region, lambda *line: said.append(line), version="v1")
    report.alarms = [line[1:] for line in said if line[0] == "ALARM"]
    return report


# What is due


def test_what_is_due_is_ended_and_what_is_not_stays():
    region = FakeRegion(
        [fleet("sfr-due"), fleet("sfr-not", ends=NOW + HOUR)], [leased("i-due"), leased("i-not", ends=NOW + HOUR)]
    )
    assert reap(region).ended == ["sfr-due", "i-due"]
    assert list(region.running) == ["i-not"]


def test_fleets_are_cancelled_with_termination_before_instances_are_ended():
    region = FakeRegion([fleet("sfr-1")], [leased("i-1")])
    reap(region)
    assert [call for call in region.calls if call[0] in {"cancel", "terminate"}] == [
        ("cancel", ("sfr-1",), True),
        ("terminate", ("i-1",)),
    ]


def test_it_acts_two_minutes_late():
    just_due, due = NOW - LATE + timedelta(seconds=1), NOW - LATE
    region = FakeRegion(instances=[leased("i-just", ends=just_due), leased("i-due", ends=due)])
    reap(region)
    assert list(region.running) == ["i-just"]


def test_annexes_of_every_pool_are_ended():
    region = FakeRegion(instances=[leased("i-1", Pool="one"), leased("i-2", Pool="another", AccessPoint="elsewhere")])
    reap(region)
    assert not region.running


def test_without_a_lease_the_outer_bound_ends_it_and_the_log_raises_an_alarm():
    past, coming = tags.stamp(NOW - HOUR), tags.stamp(NOW + HOUR)
    region = FakeRegion(
        instances=[
            leased("i-past", LeaseEnds=None, EndsAtLatest=past),
            leased("i-coming", LeaseEnds="tomorrow", EndsAtLatest=coming),
        ]
    )
    report = reap(region)
    assert list(region.running) == ["i-coming"]
    assert [what for what, _ in report.alarms] == ["i-past", "i-coming"]


@pytest.mark.parametrize(("age", "ended"), [(timedelta(hours=25), True), (timedelta(hours=23), False)])
def test_without_any_moment_it_ends_a_day_after_its_launch_never_now_and_never_for_ever(age, ended):
    region = FakeRegion(instances=[leased("i-1", since=NOW - age, LeaseEnds=None, EndsAtLatest="never")])
    report = reap(region)
    assert (not region.running, bool(report.alarms)) == (ended, True)


def test_a_lease_that_was_moved_past_the_outer_bound_ends_at_the_bound():
    region = FakeRegion(instances=[leased("i-1", ends=NOW + HOUR, EndsAtLatest=tags.stamp(NOW - HOUR))])
    reap(region)
    assert not region.running


def test_a_lease_that_is_extended_while_the_reaper_looks_holds():
    region = FakeRegion([fleet("sfr-1")], [leased("i-1"), leased("i-2")])

    def extended():
        region.listed["sfr-1"] = fleet("sfr-1", ends=NOW + HOUR)
        region.running["i-1"] = leased("i-1", ends=NOW + HOUR)

    region.meanwhile = extended
    reap(region)
    assert region.did("cancel") == []
    assert region.did("terminate") == [(("i-2",),)]


# What goes wrong


def test_one_protected_instance_among_fifty_does_not_save_the_others_in_that_run():
    region = FakeRegion(instances=[leased(f"i-{number}") for number in range(50)])
    region.protected = {"i-17"}
    report = reap(region)
    assert list(region.running) == ["i-17"]
    assert list(report.stays) == ["i-17"]
    assert "OperationNotPermitted" in report.alarms[0][1]


def test_what_is_protected_keeps_no_heartbeat_back():
    region = FakeRegion(instances=[leased("i-1")])
    region.protected = {"i-1"}
    assert reap(region).trouble == []
    assert '"stays": 1' in region.heartbeat


def test_a_fleet_that_aws_did_not_cancel_inside_a_success_is_said_to_stay():
    region = FakeRegion([fleet("sfr-1"), fleet("sfr-2")])
    region.protected = {"sfr-2"}
    report = reap(region)
    assert (report.ended, report.stays) == (["sfr-1"], {"sfr-2": "internalError: not now"})


def test_a_hundred_and_fifty_fleets_take_two_calls():
    region = FakeRegion([fleet(f"sfr-{number}") for number in range(150)])
    reap(region)
    assert [len(ids) for ids, _ in region.did("cancel")] == [100, 50]


@pytest.mark.parametrize("listing", ["fleets", "instances", "freeze"])
def test_a_run_that_did_not_see_everything_ends_what_it_saw_and_leaves_no_heartbeat(listing):
    region = FakeRegion([fleet("sfr-1")], [leased("i-1")])
    region.errors[listing] = Throttled("asked to slow down")
    report = reap(region)
    assert report.ended == [each for each, of in (("sfr-1", "fleets"), ("i-1", "instances")) if of != listing]
    assert (region.heartbeat, report.trouble) == (None, ["asked to slow down"])


def test_what_can_not_be_looked_at_again_is_not_ended():
    region = FakeRegion(instances=[leased("i-1")])
    region.errors["these_instances"] = Unavailable("no answer")
    report = reap(region)
    assert (list(region.running), report.stays, region.heartbeat) == (["i-1"], {"i-1": "no answer"}, None)


def test_a_reaper_that_may_end_nothing_leaves_no_heartbeat():
    region = FakeRegion(instances=[leased("i-1"), leased("i-2")])
    region.errors["terminate"] = NotPermitted("UnauthorizedOperation")
    report = reap(region)
    assert (sorted(report.stays), region.heartbeat) == (["i-1", "i-2"], None)


def test_when_aws_asks_to_slow_down_the_rest_waits_for_the_next_run():
    region = FakeRegion(instances=[leased(f"i-{number}") for number in range(250)])
    region.errors["terminate"] = Throttled("asked to slow down")
    report = reap(region)
    assert (len(region.did("terminate")), len(report.stays)) == (1, 250)


def test_a_run_that_saw_everything_says_when_and_by_which_version():
    region = FakeRegion()
    reap(region)
    assert region.heartbeat == '{"at": "2026-11-21T12:00:00Z", "version": "v1", "stays": 0}'


# Freezes

LATER = NOW + HOUR


def frozen(freeze):
    return FakeRegion(
        [
            fleet("sfr-some", ends=LATER, fulfilled=1, ProjectID="physics"),
            fleet("sfr-none", ends=LATER, fulfilled=0, ProjectID="physics"),
            fleet("sfr-full", ends=LATER, ProjectID="physics"),
            fleet("sfr-other", ends=LATER, fulfilled=1, ProjectID="biology"),
        ],
        [leased("i-1", ends=LATER, ProjectID="physics"), leased("i-2", ends=LATER, ProjectID="biology")],
        freeze=freeze,
    )


def test_a_freeze_stops_fleets_from_launching_and_ends_no_machine():
    region = frozen('[{"scope": "project", "project": "physics", "mode": "freeze"}]')
    region.open = {"sfr-some": ["sir-1"], "sfr-other": ["sir-2"]}
    reap(region)
    assert region.did("cancel") == [(("sfr-none",), False)]
    assert region.did("close") == [(("sir-1",),)]
    assert region.did("terminate") == []


def test_mode_end_ends_all_of_its_scope_now_and_nothing_else():
    region = frozen('[{"scope": "project", "project": "physics", "mode": "end"}]')
    reap(region)
    assert region.did("cancel") == [(("sfr-some", "sfr-none", "sfr-full"), True)]
    assert list(region.running) == ["i-2"]


def test_the_worst_day_ends_everything():
    region = frozen('[{"scope": "all", "mode": "end"}]')
    reap(region)
    assert not region.running


def test_a_malformed_freeze_raises_an_alarm_and_ends_nothing():
    region = frozen('[{"scope": "all", "mode": "end"}, {"scope": "projcet", "mode": "end"}]')
    report = reap(region)
    assert (len(region.running), region.did("cancel")) == (2, [])
    assert [what for what, _ in report.alarms] == ["freeze"]
    assert "scope is all or project or annex, not 'projcet'" in report.alarms[0][1]


# Launch templates


def test_templates_go_only_after_everything_else_and_when_nothing_of_their_annex_is_left():
    gone = {**carried(), tags.NAME: "green", tags.ENDS_AT_LATEST: tags.stamp(NOW - 24 * HOUR)}
    living = {**gone, tags.NAME: "blue"}
    region = FakeRegion(
        instances=[leased("i-1", ends=LATER)], templates=[Template("lt-gone", gone), Template("lt-living", living)]
    )
    reap(region)
    assert region.did("delete") == [("lt-gone",)]
    assert region.calls[-1] == ("delete", "lt-gone")


def test_no_template_is_deleted_when_a_listing_is_missing():
    region = FakeRegion(templates=[Template("lt-1", {**carried(), tags.ENDS_AT_LATEST: tags.stamp(NOW - 24 * HOUR)})])
    region.errors["instances"] = Throttled("asked to slow down")
    reap(region)
    assert region.did("delete") == []
