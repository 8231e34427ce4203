"""Requirements taken apart: nothing may be read as a condition of the whole that isn't one."""

import classad2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annex_core.planner.conjuncts import conjuncts


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("true", ("true",)),
        ("a && b", ("a", "b")),
        ("((a && (b)) && c)", ("a", "b", "c")),
        ("a || b && c", ("a || b && c",)),
        ("a && b ? c : d", ("a && b ? c : d",)),
        ("a && (b || c)", ("a", "b || c")),
        ("(a && b) || (c && d)", ("(a && b) || (c && d)",)),
        ("a =?= undefined && b =!= 3", ("a =?= undefined", "b =!= 3")),
        ('a == "x && (" && b', ('a == "x && ("', "b")),
        ('a == "\\" && " && b', ('a == "\\" && "', "b")),
        ("'odd && name' && b", ("'odd && name'", "b")),
        ("member(a, {1 && 2, 3}) && b", ("member(a, {1 && 2, 3})", "b")),
        ("(a && b", ("(a && b",)),
    ],
)
def test_only_conditions_of_the_whole_are_split_off(text, parts):
    assert conjuncts(text) == parts


leaves = st.sampled_from(["true", "false", "undefined", "error", "1", "0", '"a && b"', "X", "(2 > 1)"])
expressions = st.recursive(
    leaves,
    lambda inner: (
        st.tuples(inner, st.sampled_from([" && ", " || ", " =?= ", " is "]), inner).map("".join)
        | inner.map(lambda one: f"({one})")
        | st.tuples(inner, inner, inner).map(lambda some: "{} ? {} : {}".format(*some))
    ),
    max_leaves=8,
)


@settings(max_examples=500, deadline=None)
@given(expressions)
def test_the_whole_is_true_only_where_every_part_is(text):
    expression = classad2.ExprTree(text)
    if _true(expression):
        assert all(_true(classad2.ExprTree(part)) for part in conjuncts(str(expression)))
        assert all(_true(classad2.ExprTree(part)) for part in conjuncts(text))


def _true(expression):
    value = expression.eval()
    return not isinstance(value, classad2.Value) and isinstance(value, bool | int | float) and bool(value)
