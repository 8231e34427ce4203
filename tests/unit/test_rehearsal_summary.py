"""The seconds that the demo's summary tells."""

from types import SimpleNamespace

from rehearsal.scene import Scene
from rehearsal.summary import fleet_request, seconds
from rehearsal.workload import workloads


def call(action="RequestSpotFleet", *, at=30.0, status=200, token="sky-1_a"):
    return {"action": action, "at": at, "status": status, "token": token}


def test_a_fleet_request_is_neither_the_launch_template_nor_another_annexs_call():
    calls = [
        call("CreateLaunchTemplate", at=10.0),
        call("DescribeSpotFleetRequests", at=11.0, token=None),
        call(at=12.0, token="sky-12_a"),
        call(at=13.5),
        call(at=20.0),
    ]
    assert fleet_request(calls, "sky-1") == 13.5


def test_a_fleet_request_that_aws_refused_or_never_answered_is_none():
    assert fleet_request([call(status=503), call(status=None)], "sky-1") is None


def test_a_stamp_of_whole_seconds_is_not_told_more_exactly_than_it_is():
    assert seconds(104, since=100.9) == "4"
    assert seconds(104.06, since=100.9) == "3.2"
    assert seconds(None, since=100.9) == "-"


class Pool:
    """What a scene asks of slots."""

    def __init__(self, *slots):
        self.heard = slots

    def knob(self, name):
        return name

    def slots(self, collector):
        return self.heard


def slot(began, now, identity="annex-alice.sky@pool.test"):
    return {"DaemonStartTime": began, "MyCurrentTime": now, "AuthenticatedIdentity": identity}


def test_the_first_slot_is_the_same_however_late_one_looks():
    pool = Pool(slot(105, 130))
    loads = workloads("alice", "bob")
    scene = Scene(SimpleNamespace(pool=pool), loads)
    scene._note_slots()
    assert scene.first_slot == {loads[0].key: 105}

    pool.heard = slot(105, 140), slot(104, 140), slot(106, 140), slot(101, 140, "annex-alice.skyline@pool.test")
    scene._note_slots()
    assert scene.first_slot == {loads[0].key: 104}
