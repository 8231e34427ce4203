"""The JSON Schemas that the package carries."""

import json
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
