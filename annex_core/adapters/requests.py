"""The bodies of commands on the socket, read by schemas/request.json; a sentence for each that makes no sense."""

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from annex_core.adapters.schemas import schema
from annex_core.errors import BadRequest
from annex_core.model.keys import Keys
from annex_core.model.names import misnamed

VERBS = ("create", "extend", "end", "freeze", "thaw", "remains")

SECRETIVE = frozenset({"config_files", "default_user_data", "fleet_config", "tags", "user_data"})
"""Fields that may hold a secret: no sentence and no log shows what stands in them."""


def read(verb: str, body: bytes) -> dict[str, Any]:
    """
    Raises:
        BadRequest: It is nothing by the schema; the sentence says where, and shows no secret.
    """
    try:
        asked = json.loads(body)
    except ValueError as error:
        raise BadRequest(f"what was asked is no JSON: {error}") from error
    if not isinstance(asked, dict):
        raise BadRequest("what was asked is no JSON object")
    if isinstance(name := asked.get("name"), str) and (wrong := misnamed(name)):
        raise BadRequest(wrong)
    if found := best_match(_validator(verb).iter_errors(asked)):
        raise BadRequest(_sentence(found))
    return asked


def read_keys(body: bytes) -> Keys | str:
    """
    What a `keys` request hands over: keys, or why they can't be had.

    Raises:
        BadRequest: It is nothing by the schema; the sentence says nothing of what it holds.
    """
    try:
        asked = json.loads(body)
        _validator("keys").validate(asked)
    except (ValueError, ValidationError):
        raise BadRequest("what was handed over is no keys by schemas/request.json") from None
    return Keys(asked["access"], asked["secret"]) if "access" in asked else str(asked["missing"])


def reserved() -> frozenset[str]:
    """What in a create only administrators may decide."""
    return frozenset(schema("request")["administrators"])


def without_secrets(asked: dict[str, Any]) -> str:
    """As JSON, for the audit log; of a field that may hold a secret only its name is left."""
    return json.dumps({name: "..." if name in SECRETIVE else value for name, value in asked.items()}, sort_keys=True)


@cache
def _validator(verb: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/$defs/{verb}", "$defs": schema("request")["$defs"]})


def _sentence(error: ValidationError) -> str:
    """jsonschema's own shows the value, and where two fields exclude each other the whole document."""
    where = ".".join(map(str, error.absolute_path))
    if error.validator in {"not", "oneOf", "anyOf"} and not where:
        return "of name, project and all, of instances and slots, of lease_ends and lifetime_s it takes one each"
    if (field := where.split(".")[0]) in SECRETIVE:
        return f"{field}: what stands there has not the form of schemas/request.json ({error.validator})"
    return f"{where}: {error.message[:300]}" if where else error.message[:300]
