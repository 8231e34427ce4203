"""
Make schemas/spot-fleet.json: what RequestSpotFleet takes, out of botocore's model of EC2.

    .venv/bin/python tools/make_spot_fleet_schema.py

A test makes it again and compares: an attribute that a newer botocore knows has to be kept or refused by name in
annex_core/fleet_file, too.
"""

import json
import sys
from pathlib import Path
from typing import Any

import botocore.session

OUT = Path(__file__).parent.parent / "schemas" / "spot-fleet.json"

_SCALARS = {
    "string": "string",
    "integer": "integer",
    "long": "integer",
    "double": "number",
    "float": "number",
    "boolean": "boolean",
    "timestamp": "string",
}
_OPEN = {"InstanceType", "ResourceType"}
"""Enumerations that grow from week to week: AWS itself says what it doesn't know."""


def schema() -> dict[str, Any]:
    model = botocore.session.get_session().get_service_model("ec2")
    shape = model.operation_model("RequestSpotFleet").input_shape.members["SpotFleetRequestConfig"]
    definitions: dict[str, Any] = {}
    _define(shape, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://condor-annex.invalid/schemas/spot-fleet.json",
        "title": "A Spot Fleet configuration, as AWS's console exports it",
        "description": "Made by tools/make_spot_fleet_schema.py from botocore's model of EC2; not edited by hand.",
        "$ref": f"#/$defs/{shape.name}",
        "$defs": dict(sorted(definitions.items())),
    }


def _define(shape: Any, definitions: dict[str, Any]) -> None:
    if shape.name in definitions:
        return
    made: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": {}}
    definitions[shape.name] = made
    made["properties"] = {name: _use(member, definitions) for name, member in shape.members.items()}


def _use(shape: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if shape.type_name == "structure":
        _define(shape, definitions)
        return {"$ref": f"#/$defs/{shape.name}"}
    if shape.type_name == "list":
        return {"type": "array", "items": _use(shape.member, definitions)}
    use: dict[str, Any] = {"type": _SCALARS[shape.type_name]}
    if shape.type_name == "timestamp":
        use["format"] = "date-time"
    if getattr(shape, "enum", None) and shape.name not in _OPEN:
        use["enum"] = list(shape.enum)
    return use


if __name__ == "__main__":
    OUT.write_text(json.dumps(schema(), indent=1) + "\n")
    sys.stdout.write(f"{OUT}\n")
