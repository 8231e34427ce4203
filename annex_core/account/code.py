"""The reaper's code as Lambda takes it: the modules of this very package that it needs, in a zip file."""

import base64
import hashlib
import io
import zipfile
from functools import cache
from importlib.resources import files

_MODULES = (
    "__init__",
    "adapters/__init__",
    "adapters/aws_errors",
    "connectivity/__init__",
    "connectivity/addresses",
    "connectivity/afar",
    "connectivity/answer",
    "connectivity/probe",
    "errors",
    "model/__init__",
    "model/freeze",
    "model/names",
    "model/signs",
    "model/tags",
    "planner/__init__",
    "planner/leases",
    "reaper/__init__",
    "reaper/handler",
    "reaper/region",
    "reaper/run",
)
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


@cache
def reaper_zip() -> bytes:
    """
    Returns:
        The same bytes wherever the same modules are packed: not compressed, for compressors differ, and without times.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name in _MODULES:
            member = zipfile.ZipInfo(f"annex_core/{name}.py", _LONG_AGO)
            member.external_attr = 0o644 << 16
            archive.writestr(member, files("annex_core").joinpath(f"{name}.py").read_bytes())
    return packed.getvalue()


@cache
def reaper_key() -> str:
    """The object in the bucket that Lambda takes it from; it changes with the code."""
    return f"reaper-{hashlib.sha256(reaper_zip()).hexdigest()[:16]}.zip"


@cache
def reaper_sha256() -> str:
    """As Lambda says it of what it runs (CodeSha256)."""
    return base64.b64encode(hashlib.sha256(reaper_zip()).digest()).decode()
