"""One region of AWS, or what stands in for it: where its services answer, and with whose credentials."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import boto3.session
from botocore.config import Config
from botocore.exceptions import UnknownRegionError

from annex_core.adapters.aws_answers import Answered, Listener
from annex_core.adapters.aws_credentials import Chain, SharedFile, Source

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_ec2 import EC2Client
    from types_boto3_events import EventBridgeClient
    from types_boto3_iam import IAMClient
    from types_boto3_kms import KMSClient
    from types_boto3_lambda import LambdaClient
    from types_boto3_logs import CloudWatchLogsClient
    from types_boto3_pricing import PricingClient
    from types_boto3_s3 import S3Client
    from types_boto3_service_quotas import ServiceQuotasClient
    from types_boto3_ssm import SSMClient
    from types_boto3_sts import STSClient

_TIMEOUTS = Config(connect_timeout=3, read_timeout=20, max_pool_connections=20)
"""A region's clients are shared by all hands of that region."""
_ASK_TWICE = _TIMEOUTS.merge(Config(retries={"mode": "standard", "total_max_attempts": 2}))
_SEND_ONCE = _TIMEOUTS.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))
_NOBODY_WAITS = _TIMEOUTS.merge(Config(retries={"mode": "standard", "total_max_attempts": 5}))

_PRICES_AT = "us-east-1"
"""One of the few regions where AWS's price list answers, for all regions of its partition."""
_IN_DOLLARS = "aws"
"""The partition whose list is in USD and can be read by all of its accounts."""


class AwsRegion:
    """
    Makes clients; asks AWS nothing and opens no file before the first call.

    Args:
        region: AWS's name of it, us-east-2.
        endpoint: Where all services answer instead of AWS, such as the local cloud's URL.
        credentials: Who signs; boto3's own chain decides by default.
        credentials_file: Short for SharedFile of it, whose profile `default` is then the only source.
        told: Called with each of AWS's answers, in the thread that made the call.
    """

    def __init__(
        self,
        region: str,
        *,
        endpoint: str | None = None,
        credentials: Source | None = None,
        credentials_file: str | None = None,
        told: Callable[[Answered], None] = lambda _: None,
    ) -> None:
        self.region = region
        self._listener = Listener(region, told)
        self.endpoint = endpoint
        self._credentials = credentials or (SharedFile(credentials_file) if credentials_file else Chain())

    def ahead(self) -> timedelta:
        """How far AWS's clock is ahead of ours, by its last answer."""
        return self._listener.ahead

    def ec2_reader(self) -> EC2Client:
        """For calls that only ask: one retry of its own."""
        return self._session.client("ec2", endpoint_url=self.endpoint, config=_ASK_TWICE)

    def ec2_writer(self) -> EC2Client:
        """
        For calls that change something: each is sent once.

        The last of several answers would hide what an earlier one may have done; the daemon repeats by its journal.
        """
        return self._session.client("ec2", endpoint_url=self.endpoint, config=_SEND_ONCE)

    def ssm(self) -> SSMClient:
        return self._session.client("ssm", endpoint_url=self.endpoint, config=_ASK_TWICE)

    def functions(self) -> LambdaClient:
        return self._session.client("lambda", endpoint_url=self.endpoint, config=_ASK_TWICE)

    def rules(self) -> EventBridgeClient:
        return self._session.client("events", endpoint_url=self.endpoint, config=_ASK_TWICE)

    def logs(self) -> CloudWatchLogsClient:
        return self._session.client("logs", endpoint_url=self.endpoint, config=_ASK_TWICE)

    def cloudformation(self) -> CloudFormationClient:
        return self._session.client("cloudformation", endpoint_url=self.endpoint, config=_ASK_TWICE)

    def iam(self) -> IAMClient:
        return self._session.client("iam", endpoint_url=self.endpoint, config=_ASK_TWICE)

    def kms(self) -> KMSClient:
        return self._session.client("kms", endpoint_url=self.endpoint, config=_ASK_TWICE)

    def pricing(self) -> PricingClient | None:
        """None where no price list can be asked: a region of China, of the government's, or none that AWS has."""
        if self.endpoint is None and self._partition != _IN_DOLLARS:
            return None
        return self._session.client("pricing", region_name=_PRICES_AT, endpoint_url=self.endpoint, config=_NOBODY_WAITS)

    def quotas(self) -> ServiceQuotasClient:
        return self._session.client("service-quotas", endpoint_url=self.endpoint, config=_ASK_TWICE)

    def sts(self) -> STSClient:
        return self._session.client("sts", endpoint_url=self.endpoint, config=_ASK_TWICE)

    def s3(self) -> S3Client:
        # Left to itself boto3 presigns for the global host name, which redirects to young buckets of other regions,
        # and a redirected signature is no longer good.
        addressing = Config(
            signature_version="s3v4",
            s3={
                "addressing_style": "path" if self.endpoint else "virtual",
                "us_east_1_regional_endpoint": "regional",
            },
        )
        return self._session.client("s3", endpoint_url=self.endpoint, config=_ASK_TWICE.merge(addressing))

    @property
    def _partition(self) -> str | None:
        try:
            return self._session.get_partition_for_region(self.region)
        except UnknownRegionError:
            return None

    @cached_property
    def _session(self) -> boto3.session.Session:
        core = self._credentials.session()
        self._listener.listen(core)
        return boto3.session.Session(botocore_session=core, region_name=self.region)
