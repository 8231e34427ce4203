"""Annexes that outlive their first fleets' outer bound, or the credentials that they were made with."""

from datetime import timedelta

import pytest

from annex_core.errors import NotPermitted
from annex_core.model import tags
from annex_core.planner.commands import extended
from tests.unit.test_provisioner import Daemon
from tests.unit.world import NOW, ROUTE, group, instance, slot

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def daemon(tmp_path):
    made = Daemon(tmp_path / "journal.db")
    made.queue.groups = [group()]
    made.cycle()
    (first,) = made.cloud.listed_fleets
    made.cloud.listed_instances = [instance(tags=first.tags, launched=NOW)]
    made.slots.advertised = [slot("i-1")]
    made.cycle(after=MINUTE)
    yield made
    made.journal.close()


def test_past_the_outer_bound_of_its_fleets_new_ones_carry_the_annex_on(daemon):
    bound = NOW + ROUTE.max_lifetime
    daemon.queue.groups = []
    daemon.cycle(after=7 * HOUR)
    (life,) = daemon.journal.annexes()
    longer = extended(life, daemon.now + 20 * HOUR, daemon.provisioner.standing.snapshot, daemon.now)
    daemon.orders.keep_lease(longer)
    daemon.cycle(after=MINUTE)
    shown = [each.tags[tags.LEASE_ENDS] for each in (*daemon.cloud.listed_fleets, *daemon.cloud.listed_instances)]
    assert shown == [tags.stamp(bound)] * 2

    daemon.queue.groups = [group()]
    daemon.cycle(after=bound - daemon.now)
    assert daemon.cloud.terminated == ["i-1"]
    daemon.cycle(after=MINUTE)
    assert [each.valid_until for each in daemon.cloud.requests] == [bound, longer.ends_at_latest]
    assert [each.id for each in daemon.journal.annexes()] == [life.id]


def test_credentials_that_expire_in_mid_life_leave_the_lease_as_it_is_and_it_goes_on_when_they_are_back(daemon):
    before = daemon.journal.annexes()
    daemon.queue.groups = [group(idle=9)]
    daemon.cloud.errors["instances"] = [NotPermitted("ExpiredToken: the security token has expired")]
    daemon.cycle(after=5 * MINUTE)
    assert "ExpiredToken" in daemon.last_said
    assert daemon.journal.annexes() == before
    assert (len(daemon.cloud.requests), daemon.cloud.terminated, daemon.cloud.cancelled) == (1, [], [])
    daemon.cycle(after=MINUTE)
    assert len(daemon.cloud.requests) == 2
