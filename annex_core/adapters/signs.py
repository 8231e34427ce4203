"""The parameters in SSM by which a region's reaper, people and the daemon tell each other something."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from annex_core.adapters.aws_errors import aws_call
from annex_core.adapters.aws_session import AwsRegion
from annex_core.errors import Refused
from annex_core.model.freeze import parse
from annex_core.model.signs import FREEZE, HEARTBEAT, Signs

if TYPE_CHECKING:
    from types_boto3_ssm import SSMClient


class SsmSigns:
    """ports.SignReader over boto3."""

    def __init__(self, client: SSMClient) -> None:
        self._client = client

    def read(self, now: datetime) -> Signs:
        """How old the heartbeat is, AWS says by its own clock: ours may be wrong by minutes."""
        with aws_call("GetParameters"):
            answer = self._client.get_parameters(Names=[HEARTBEAT, FREEZE])
        found = {each["Name"]: each for each in answer["Parameters"]}
        said = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        aws_now = parsedate_to_datetime(said) if said else now
        heartbeat = None
        if HEARTBEAT in found:
            heartbeat = (now - (aws_now - found[HEARTBEAT]["LastModifiedDate"])).astimezone(UTC)
        try:
            freezes = parse(found[FREEZE]["Value"]) if FREEZE in found else ()
        except Refused as error:
            return Signs(heartbeat, malformed=str(error))
        return Signs(heartbeat, freezes)


def sign_reader(region: AwsRegion) -> SsmSigns:
    return SsmSigns(region.ssm())
