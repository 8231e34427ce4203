"""The JSON Schemas that the package carries, and what names that stand in none of them may have meant."""

import json
from collections.abc import Iterable
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

import annex_core


def schema(name: str) -> dict[str, Any]:
    """schemas/NAME.json: inside the package where it is installed, beside it in a checkout."""
    place = files("annex_core").joinpath("schemas")
    if not place.is_dir():
        place = Path(annex_core.__file__).parent.parent / "schemas"
    read: dict[str, Any] = json.loads(place.joinpath(f"{name}.json").read_text())
    return read


def hint(name: str, known: Iterable[str]) -> str:
    """The end of a sentence; empty where nothing is near."""
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
