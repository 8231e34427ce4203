"""What lives, and what is left."""

from annex_core.account.remains import Living, Thing, left, orphaned_templates

BLUE = {"htcondor:Owner": "alice", "htcondor:AnnexName": "blue", "htcondor:Pool": "ap"}
NOTHING = Living({}, {})


def test_every_annex_is_named_once_with_what_it_has() -> None:
    living = Living({"i-1": BLUE, "i-2": BLUE, "i-3": BLUE | {"htcondor:Owner": "bob"}}, {"sfr-1": BLUE})
    assert list(living.annexes()) == [
        "alice's blue (pool ap): 2 instances, 1 fleet request",
        "bob's blue (pool ap): 1 instance",
    ]


def test_what_lost_its_tags_is_named_all_the_same() -> None:
    assert list(Living({"i-1": {}}, {}).annexes()) == ["?'s ? (pool ?): 1 instance"]


def test_tags_that_outlive_their_instance_or_fleet_are_not_left() -> None:
    tagged = [Thing("instance", "i-1"), Thing("spot-fleet-request", "sfr-1")]
    assert left(tagged, [], NOTHING) == []
    assert left(tagged, [], Living({"i-1": BLUE}, {"sfr-1": BLUE})) == tagged


def test_volumes_groups_and_buckets_are_left() -> None:
    tagged = [Thing("security-group", "sg-1"), Thing("volume", "vol-1")]
    assert left(tagged, [Thing("bucket", "b")], NOTHING) == [*tagged, Thing("bucket", "b")]


def test_templates_are_found_among_all_that_is_tagged() -> None:
    assert orphaned_templates([Thing("launch-template", "lt-1"), Thing("volume", "vol-1")]) == ["lt-1"]
