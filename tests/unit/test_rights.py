"""The table of rights beside the code that makes the calls."""

import ast
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

import annex_core
from annex_core.account.rights import CALLS, RIGHTS

_NAMED_BY_TEXT = {"get_paginator", "generate_presigned_url", "get_waiter"}


def operations() -> dict[str, set[str]]:
    """Calls of the table's services, by the name of boto3's method."""
    session = botocore.session.get_session()
    found: dict[str, set[str]] = {}
    for service in {call.partition(":")[0] for call in CALLS}:
        for operation in session.get_service_model(service).operation_names:
            found.setdefault(xform_name(operation), set()).add(f"{service}:{operation}")
    return found


def methods(module: Path) -> Iterator[str]:
    """The methods that a module calls, those of paginators and presigned URLs included."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr
            if node.func.attr in _NAMED_BY_TEXT and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value)


@pytest.fixture(scope="module")
def made() -> set[str]:
    modules = Path(annex_core.__file__).parent.rglob("*.py")
    known = operations()
    return {call for module in modules for method in methods(module) for call in known.get(method, ())}


def test_no_call_in_the_table_is_made_by_nobody(made: set[str]) -> None:
    assert made >= CALLS


def test_no_call_is_made_that_is_not_in_the_table(made: set[str]) -> None:
    assert made <= CALLS


def test_every_statement_has_a_name_of_its_own() -> None:
    names = [(right.policy, right.sid) for right in RIGHTS]
    assert len(names) == len(set(names))
    assert all(sid.isalnum() for _, sid in names)


def test_no_right_is_a_pattern_of_rights() -> None:
    assert [right.sid for right in RIGHTS if "*" in " ".join(right.action_names())] == []
