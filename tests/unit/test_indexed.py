from dataclasses import replace
from datetime import timedelta
from operator import attrgetter

from annex_core.model.indexed import Indexed
from annex_core.model.names import AnnexKey
from annex_core.model.snapshot import RegionView
from tests.unit.world import ALICE, BOB, NOW, REGION, annex, carried, fleet, instance, known, launch, slot, snapshot


class Counting(str):
    """A word that counts how often its length was asked for."""

    asked = 0

    def size(self) -> int:
        Counting.asked += 1
        return len(self)


def test_those_that_are_alike_are_found_in_their_order_and_each_is_looked_at_once() -> None:
    words = Indexed(map(Counting, ("one", "three", "two", "four")))
    Counting.asked = 0
    for _ in range(3):
        assert words.where(Counting.size, 3) == ["one", "two"]
        assert words.where(Counting.size, 9) == ()
    assert Counting.asked == len(words)


def test_what_is_indexed_already_stays_the_same_object() -> None:
    words = Indexed(["one"])
    assert Indexed(words) is words
    assert words == ("one",)


def test_a_snapshot_gives_each_annex_what_is_its_own() -> None:
    of = snapshot(
        annexes={ALICE: annex(), BOB: annex(BOB)},
        launches=[launch("t1"), launch("t2", annex=annex(BOB).id)],
        known=[known("i-1", token="t1"), known("i-2", annex=annex(BOB).id, token="t2")],
        slots=[slot("i-1"), replace(slot("i-2"), identity=BOB.identity("pool.example"))],
        regions={REGION: RegionView([instance("i-1"), instance("i-2", tags=carried(BOB))], [fleet("t1")])},
    )
    (whole,) = of.regions.values()
    for key, its in ((ALICE, "1"), (BOB, "2")):
        life = of.annexes[key]
        assert [each.token for each in of.launches_of(life)] == [f"t{its}"]
        assert [each.id for each in of.known_of(life)] == [f"i-{its}"]
        assert [each.id for each in whole.instances_of(key)] == [f"i-{its}"]
    assert [each.id for each in whole.fleets_of(ALICE)] == ["sfr-t1"]
    assert not whole.fleets_of(BOB)
    assert not of.known_of(annex(AnnexKey("carol", "blue")))
    later = replace(of, at=NOW + timedelta(minutes=1))
    assert later.known is of.known
    assert attrgetter("id")(whole.fleet("sfr-t1")) == "sfr-t1"
    assert whole.fleet(None) is None
    assert whole.shows("i-2")
    assert not whole.shows("i-3")
