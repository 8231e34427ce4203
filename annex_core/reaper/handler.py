"""
What AWS Lambda starts every five minutes: ends what is due in its region, for all annexes of all pools of the account.

Asked who is at a collector's address it does that instead: it is what we have inside the account. It is packed with the
modules that it imports, and boto3 is Lambda's own. Each line of its log is a JSON object.
"""

import json
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Any

import boto3
from botocore.config import Config

from annex_core.connectivity import afar
from annex_core.reaper.region import Region
from annex_core.reaper.run import run

_CONFIG = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 5})
"""All that it changes may be done twice, so that all may be tried again."""


def handler(event: Any, _context: object) -> dict[str, Any]:
    """
    Raises:
        RuntimeError: It could not vouch for the region, and left no heartbeat: Lambda counts it as an error, and starts
            it again within minutes.
    """
    if afar.is_question(event):
        return afar.answered(event)
    region = Region(
        boto3.client("ec2", config=_CONFIG), boto3.client("ssm", config=_CONFIG), clock=partial(datetime.now, UTC)
    )
    report = asdict(run(region, _say, version=os.environ.get("ANNEX_REAPER_VERSION", "")))
    _say("INFO", "run", json.dumps(report))
    if report["trouble"]:
        raise RuntimeError("; ".join(report["trouble"]))
    return report


def _say(level: str, what: str, sentence: str) -> None:
    sys.stdout.write(json.dumps({"level": level, "what": what, "says": sentence}) + "\n")
