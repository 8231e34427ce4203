"""What a command may ask of the daemon, by schemas/request.json."""

import pytest
from jsonschema import Draft202012Validator

from annex_core.adapters.schemas import schema

SCHEMA = schema("request")


def valid(verb, document):
    whole = {"$ref": f"#/$defs/{verb}", "$defs": SCHEMA["$defs"]}
    return Draft202012Validator(whole).is_valid(document)


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "document",
    [
        {"name": "blue"},
        {"name": "blue", "instances": 5, "lifetime_s": 3600, "idle_s": 300, "owner": "alice"},
        {"name": "blue", "tags": {"Cost.Center": "1, 2"}},
        {"name": "blue", "slots": 64, "lease_ends": "2026-11-21T08:30:00Z", "max_price_usd": {"*": "0.06"}},
        {"name": "blue", "owner": None, "any_owner": True, "config_files": {"70-mine": "QSA9IDEK"}},
        {"name": "blue", "fleet_config": {"TargetCapacity": 3}, "pilot": True, "dry_run": True},
    ],
)  # fmt: skip
def test_a_create_may_be(document):
    assert valid("create", document)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"name": "a_b"},
        {"name": "a.b"},
        {"name": "a" * 38},
        {"name": "blue", "instances": 0},
        {"name": "blue", "instances": 2, "slots": 2},
        {"name": "blue", "lifetime_s": 3600, "lease_ends": "2026-11-21T08:30:00Z"},
        {"name": "blue", "lease_ends": "2026-11-21T08:30:00"},
        {"name": "blue", "owner": "alice", "any_owner": True},
        {"name": "blue", "tags": {"Cost Center": "1"}},
        {"name": "blue", "tags": {"htcondor:Pool": "mine"}},
        {"name": "blue", "config_files": {"../x": "QSA9IDEK"}},
        {"name": "blue", "config_files": {"x": "not base64"}},
        {"name": "blue", "count": 3},
    ],
)
def test_a_create_can_not_be(document):
    assert not valid("create", document)


@pytest.mark.parametrize(
    ("verb", "document", "fine"),
    [
        ("extend", {"name": "blue", "lifetime_s": 60}, True),
        ("extend", {"name": "blue"}, False),
        ("extend", {"name": "blue", "lifetime_s": 60, "lease_ends": "2026-11-21T08:30:00Z"}, False),
        ("end", {"name": "blue", "now": True}, True),
        ("end", {"all": True, "now": True}, True),
        ("end", {"all": True, "name": "blue"}, False),
        ("end", {}, False),
        ("freeze", {"project": "physics"}, True),
        ("freeze", {"project": "physics", "all": True}, False),
        ("thaw", {"name": "blue", "owner": "alice"}, True),
        ("thaw", {"all": False}, False),
        ("remains", {"name": "blue", "owner": "alice"}, True),
        ("remains", {"all": True}, False),
    ],
)
def test_the_other_verbs_say_one_thing(verb, document, fine):
    assert valid(verb, document) is fine
