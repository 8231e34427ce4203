"""Annexes for anybody's jobs: who may make one, and what others' jobs come to that name it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from annex_core.errors import Refused
from annex_core.model.annex import Ending
from annex_core.model.names import ANYBODY, AnnexKey
from annex_core.model.order import Order
from annex_core.model.place import OWNER
from annex_core.model.snapshot import RegionView
from tests.unit.test_answering import ADMIN_SPEAKS, ALICE_SPEAKS, Named
from tests.unit.test_commands import Desk
from tests.unit.world import (
    ALICE,
    BOB,
    NOW,
    REGION,
    ROUTE,
    annex,
    carried,
    fleets,
    group,
    instance,
    known,
    sentence,
    snapshot,
)

SHARED = AnnexKey(ANYBODY, "blue")
LIFE = annex(SHARED)
ORDER = Order("o-1", LIFE.id, NOW, "admin", instances=2)
IN_VIEW = RegionView([instance(tags=carried(SHARED))])


def with_shared(*, life=LIFE, **given):
    """bob's job waits for blue, and there is a blue for anybody's."""
    bobs = group(key=BOB)
    annexes = {SHARED: life, **given.pop("annexes", {})}
    return snapshot([bobs, *given.pop("groups", ())], annexes=annexes, **given)


def owners(of):
    """Whose annexes get machines."""
    return {each.annex.key.owner for each in fleets(of)}


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path)
    yield made
    made.journal.close()


def test_an_administrator_makes_one_and_it_is_booked_on_them(desk):
    answer = desk.ask("create", ADMIN_SPEAKS, name="blue", any_owner=True, instances=2)
    assert (answer["owner"], answer["how_many"]) == (ANYBODY, 2)
    assert (desk.annex(SHARED).project, desk.annex(ALICE)) == ("admin", None)


def test_root_needs_no_owner_for_one(desk):
    assert desk.ask("create", Named(0, 0, 1), name="blue", any_owner=True)["owner"] == ANYBODY


def test_a_route_for_some_makes_none_for_anybody(desk):
    desk.seen = snapshot(routes={"spot": replace(ROUTE, owners=("alice", "bob"))})
    with pytest.raises(Refused, match="open to alice, bob alone; anybody's jobs take one that all may use"):
        desk.ask("create", ADMIN_SPEAKS, name="blue", any_owner=True)


def test_a_route_that_charges_each_owner_makes_none_for_anybody(desk):
    desk.seen = snapshot(routes={"spot": replace(ROUTE, credentials=OWNER)})
    with pytest.raises(Refused, match="charges each owner's account"):
        desk.ask("create", ADMIN_SPEAKS, name="blue", any_owner=True)


@pytest.mark.parametrize(
    ("verb", "document"), [("extend", {"lifetime_s": 7200}), ("end", {}), ("freeze", {}), ("end", {"owner": ANYBODY})]
)
def test_whoever_administers_means_it_where_they_have_none_of_that_name(desk, verb, document):
    desk.ask("create", ADMIN_SPEAKS, name="blue", any_owner=True)
    desk.seen = replace(desk.seen, annexes={SHARED: desk.annex(SHARED)})
    with pytest.raises(Refused):
        desk.ask(verb, ALICE_SPEAKS, name="blue", **{"owner": ANYBODY, **document})
    desk.ask(verb, ADMIN_SPEAKS, name="blue", **document)
    if verb == "end":
        assert desk.annex(SHARED).ending is Ending.DRAIN
    if verb == "freeze":
        assert [each.owner for each in desk.book.freezes()] == [ANYBODY]
    if verb == "extend":
        assert desk.annex(SHARED).lease_ends == NOW + timedelta(hours=2)


def test_ones_own_annex_of_that_name_comes_first_and_may_be_made_beside_it(desk):
    desk.ask("create", ADMIN_SPEAKS, name="blue", any_owner=True)
    desk.seen = replace(desk.seen, annexes={SHARED: desk.annex(SHARED)})
    desk.ask("create", ADMIN_SPEAKS, name="blue")
    assert desk.annex(AnnexKey("admin", "blue"))
    desk.ask("end", ADMIN_SPEAKS, name="blue")
    assert desk.annex(SHARED).ending is None


@pytest.mark.parametrize("given", [{"regions": {REGION: IN_VIEW}}, {"orders": [ORDER]}])
def test_a_job_that_names_it_waits_for_its_machines_and_begins_none_of_its_owners(given):
    of = with_shared(**given)
    assert owners(of) <= {ANYBODY}
    assert sentence(of, BOB).startswith("Annex blue is for anybody's jobs: ")


def test_it_grows_by_no_job():
    assert not owners(with_shared(regions={REGION: IN_VIEW}, groups=[group(idle=50)]))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"life": replace(LIFE, ending=Ending.DRAIN), "regions": {REGION: IN_VIEW}},
        {"life": replace(LIFE, lease_ends=NOW), "regions": {REGION: IN_VIEW}},
        {"known": [replace(known("i-9"), annex=LIFE.id, gone=NOW)]},
    ],
)
def test_where_it_has_no_machine_or_takes_no_job_the_owners_begins_as_ever(given):
    assert owners(with_shared(**given)) == {"bob"}


def test_who_has_an_annex_of_that_name_already_keeps_it():
    assert owners(with_shared(annexes={BOB: annex(BOB)}, regions={REGION: IN_VIEW})) == {"bob"}
