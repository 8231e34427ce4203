"""docs/routes.md says what schemas/route.json says."""

from pathlib import Path
from typing import Any

import pytest

from annex_core.adapters.schemas import schema

DOCS = Path(__file__).parent.parent.parent / "docs" / "routes.md"
ROUTE = schema("route")


def row(name: str, shape: dict[str, Any]) -> str:
    takes = shape["expects"] + (f", in {shape['unit']}" if shape.get("unit") in {"USD", "USD/h", "GiB"} else "")
    return f"| `{name}` | {takes} | {default(name, shape)} | {shape['description']} |"


def default(name: str, shape: dict[str, Any]) -> str:
    if name in ROUTE["required"]:
        return "required"
    value = shape.get("default")
    if value in (None, [], {}):
        return ""
    if isinstance(value, list):
        return f"`{', '.join(value)}`"
    if shape.get("unit") != "s":
        return f"`{value}`"
    unit, seconds = next((u, s) for u, s in (("h", 3600), ("m", 60), ("s", 1)) if value % s == 0)
    return f"`{value // seconds}{unit}`"


@pytest.mark.parametrize("name", ROUTE["properties"])
def test_a_macros_row_says_what_the_schema_says(name: str) -> None:
    assert row(name, ROUTE["properties"][name]) in DOCS.read_text().splitlines()


def test_no_row_is_of_a_macro_that_does_not_exist() -> None:
    rows = [line for line in DOCS.read_text().splitlines() if line.startswith("| `Annex")]

    assert len(rows) == len(ROUTE["properties"])


@pytest.mark.parametrize("name", ROUTE["notYet"])
def test_what_is_not_supported_yet_is_said(name: str) -> None:
    assert f"`{name}`" in DOCS.read_text().partition("## Not supported yet")[2]
