"""The freeze parameter: what it may say, and whom it covers."""

import pytest

from annex_core.errors import Refused
from annex_core.model.freeze import Freeze, Mode, parse
from tests.unit.world import carried


def test_an_empty_list_is_no_freeze():
    assert parse("[]") == ()


def test_every_scope_is_read_with_its_mode():
    text = """[{"scope": "all", "mode": "freeze"}, {"scope": "project", "project": "physics", "mode": "end"},
               {"scope": "annex", "annex": "blue", "owner": "alice", "pool": "ap.example", "mode": "freeze"}]"""
    assert parse(text) == (
        Freeze(Mode.FREEZE),
        Freeze(Mode.END, project="physics"),
        Freeze(Mode.FREEZE, annex="blue", owner="alice", pool="ap.example"),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no JSON"),
        ("freeze", "no JSON"),
        ('{"scope": "all", "mode": "end"}', "has to be a list"),
        ('["all"]', "entry 1 has to be an object"),
        ('[{"scope": "all", "mode": ["end"]}]', "whose values are words"),
        ('[{"scope": "all", "mode": "end"}, {"mode": "end"}]', "entry 2: scope is"),
        ('[{"scope": "all", "mode": "stop"}]', "mode is freeze or end, not 'stop'"),
        ('[{"scope": "all"}]', "mode is freeze or end, not ''"),
        ('[{"scope": "project", "mode": "end"}]', "scope project takes project"),
        ('[{"scope": "all", "project": "physics", "mode": "end"}]', "scope all takes no project"),
        ('[{"scope": "project", "project": "", "mode": "end"}]', "whose values are words"),
    ],
)
def test_what_is_malformed_is_refused_whole_and_says_where(text, says):
    with pytest.raises(Refused, match=says):
        parse(text)


@pytest.mark.parametrize(
    ("freeze", "covered"),
    [
        (Freeze(Mode.END), True),
        (Freeze(Mode.END, project="physics"), True),
        (Freeze(Mode.END, project="phys"), False),
        (Freeze(Mode.END, annex="blue"), True),
        (Freeze(Mode.END, annex="blue", owner="alice"), True),
        (Freeze(Mode.END, annex="blue", owner="bob"), False),
        (Freeze(Mode.END, annex="blu"), False),
        (Freeze(Mode.END, pool="another"), False),
    ],
)
def test_it_covers_by_whole_words(freeze, covered):
    assert freeze.covers(carried()) is covered
