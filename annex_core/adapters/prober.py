"""Our function in a region, asked who is at the collector's address as seen from there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from annex_core.account.components import REAPER_FUNCTION
from annex_core.adapters.aws_errors import aws_call, code_of
from annex_core.adapters.aws_session import AwsRegion
from annex_core.connectivity import afar
from annex_core.connectivity.answer import Answer
from annex_core.errors import Unavailable

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient


class LambdaProber:
    """
    ports.Prober over boto3.

    Args:
        collectors: As in COLLECTOR_HOST.
        trust_domain: Of the pool whose collectors they should be.
    """

    def __init__(self, client: LambdaClient, collectors: str, trust_domain: str) -> None:
        self._client = client
        self._question = json.dumps(afar.question(collectors, trust_domain)).encode()

    def ask(self) -> Sequence[Answer] | None:
        with aws_call("Invoke"):
            try:
                answer = self._client.invoke(FunctionName=REAPER_FUNCTION, Payload=self._question)
            except ClientError as failure:
                if code_of(failure) == "ResourceNotFoundException":
                    return None
                raise
            said = answer["Payload"].read()
        if "FunctionError" in answer:
            raise Unavailable(f"{REAPER_FUNCTION} fails on the question who is at the collector: {said[:300]!r}")
        try:
            return afar.read(json.loads(said))
        except (ValueError, KeyError, TypeError) as error:
            raise Unavailable(f"{REAPER_FUNCTION} answers what can't be read: {said[:300]!r}") from error


def prober(region: AwsRegion, collectors: str, trust_domain: str) -> LambdaProber:
    return LambdaProber(region.functions(), collectors, trust_domain)
