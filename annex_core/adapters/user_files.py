"""Files that a command line names, read as the user who asks, before anything is sent."""

import base64
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from annex_core.errors import BadRequest

_FLEET_BYTES = 1 << 20
_TEXT_BYTES = 16384
"""What EC2 takes as user data."""
_CONFIG_BYTES = 1 << 20
_CONFIG_FILES = 100
_CONFIG_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class UserFiles:
    """legacy.Files, of the disk."""

    def text(self, path: str) -> str:
        content = _read(Path(path), _TEXT_BYTES)
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise BadRequest(f"{path}: not text in UTF-8") from error

    def fleet(self, path: str) -> dict[str, Any]:
        if path == "-":
            content = sys.stdin.buffer.read(_FLEET_BYTES + 1)
            if len(content) > _FLEET_BYTES:
                raise BadRequest(f"the standard input: more than {_FLEET_BYTES} bytes are no fleet configuration")
        else:
            content = _read(Path(path), _FLEET_BYTES)
        return parsed(content, "the standard input" if path == "-" else path)

    def config_files(self, path: str) -> Mapping[str, str]:
        """Hidden files are left alone, as the shell's * did for the withdrawn tool."""
        where = Path(path)
        if not where.is_dir():
            return {_named(where): base64.b64encode(_read(where, _CONFIG_BYTES)).decode()}
        try:
            entries = sorted(each for each in where.iterdir() if not each.name.startswith("."))
        except OSError as error:
            raise BadRequest(f"{path}: {error.strerror}") from error
        if not entries:
            raise BadRequest(f"{path}: there is no file in it")
        if len(entries) > _CONFIG_FILES:
            raise BadRequest(f"{path}: {len(entries)} files; {_CONFIG_FILES} at most")
        found: dict[str, str] = {}
        left = _CONFIG_BYTES
        for entry in entries:
            if entry.is_dir():
                raise BadRequest(f"{entry}: a directory; a machine's configuration is of files alone")
            content = _read(entry, _CONFIG_BYTES)
            left -= len(content)
            if left < 0:
                raise BadRequest(f"{path}: its files have more than {_CONFIG_BYTES} bytes together")
            found[_named(entry)] = base64.b64encode(content).decode()
        return found


def parsed(content: bytes, what: str) -> dict[str, Any]:
    """
    JSON as people and consoles write it; what is in it is not looked at.

    Raises:
        BadRequest: It is empty, no JSON, no object, names an attribute twice, or holds a number that is none.
    """
    if not content.strip():
        raise BadRequest(f"{what}: it is empty")
    try:
        found = json.loads(content, parse_constant=_no_number, object_pairs_hook=_once)
    except RecursionError as error:
        raise BadRequest(f"{what}: it is nested too deeply") from error
    except ValueError as error:
        raise BadRequest(f"{what}: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadRequest(f"{what}: it holds {'a list' if isinstance(found, list) else 'a value'}, not one object")
    return found


def _read(path: Path, most: int) -> bytes:
    try:
        if path.is_dir():
            raise BadRequest(f"{path}: a directory")
        if path.exists() and not path.is_file():
            raise BadRequest(f"{path}: not a plain file")
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise BadRequest(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise BadRequest(f"{str(path)!r}: no file can be called so") from error
    if len(content) > most:
        raise BadRequest(f"{path}: more than {most} bytes")
    return content


def _named(path: Path) -> str:
    if not _CONFIG_NAME.fullmatch(path.name):
        raise BadRequest(
            f"{path}: a configuration file's name has letters, digits and ._- alone, and begins with no dot"
        )
    return path.name


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is no number that AWS takes")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name} stands there twice")
        found[name] = value
    return found
