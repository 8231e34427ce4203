"""The reaper that an account holds in one region: its function, its rule, its log and the parameters it speaks by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import ClientError

from annex_core.account.checks import Place
from annex_core.account.code import reaper_key, reaper_zip
from annex_core.account.components import REAPER_FUNCTION, reaper_role_name
from annex_core.account.reaper_checks import ReaperFacts, RuleFacts
from annex_core.account.remains import Thing
from annex_core.adapters.aws_errors import aws_call, code_of
from annex_core.adapters.aws_session import AwsRegion
from annex_core.adapters.signs import SsmSigns
from annex_core.model.signs import FREEZE, HEARTBEAT

if TYPE_CHECKING:
    from types_boto3_lambda.type_defs import FunctionConfigurationResponseTypeDef

Answer = TypeVar("Answer")

_LOG = f"/aws/lambda/{REAPER_FUNCTION}"
_THERE_IS_NONE = {"ResourceNotFoundException", "NoSuchEntity"}


class AccountReaper:
    def __init__(self, region: AwsRegion, place: Place) -> None:
        self._functions = region.functions()
        self._rules = region.rules()
        self._logs = region.logs()
        self._ssm = region.ssm()
        self._s3 = region.s3()
        self._iam = region.iam()
        self._place = place

    def put_code(self) -> None:
        """Lambda copies it when the stack is made or updated; the bucket lets it expire like all else."""
        with aws_call("PutObject", changes=True):
            self._s3.put_object(
                Bucket=self._place.bucket,
                Key=reaper_key(),
                Body=reaper_zip(),
                ExpectedBucketOwner=self._place.account,
            )

    def function(self) -> ReaperFacts | None:
        """None where there is none."""
        found = self._configuration()
        if found is None:
            return None
        now = datetime.now(UTC)
        return ReaperFacts(
            arn=found["FunctionArn"],
            sha256=found["CodeSha256"],
            changed=datetime.fromisoformat(found["LastModified"]).astimezone(UTC),
            rule=self._rule(),
            heartbeat=SsmSigns(self._ssm).read(now).heartbeat,
            now=now,
        )

    def _configuration(self) -> FunctionConfigurationResponseTypeDef | None:
        return _found(
            "GetFunctionConfiguration",
            lambda: self._functions.get_function_configuration(FunctionName=REAPER_FUNCTION),
        )

    def _rule(self) -> RuleFacts | None:
        rule = _found("DescribeRule", lambda: self._rules.describe_rule(Name=REAPER_FUNCTION))
        if rule is None:
            return None
        with aws_call("ListTargetsByRule"):
            targets = self._rules.list_targets_by_rule(Rule=REAPER_FUNCTION)["Targets"]
        return RuleFacts(
            rule.get("ScheduleExpression", ""), rule["State"] == "ENABLED", frozenset(each["Arn"] for each in targets)
        )

    def things(self) -> Iterator[Thing]:
        """All of it that would be there without a stack."""
        if self._configuration() is not None:
            yield Thing("function", REAPER_FUNCTION)
        if self._rule() is not None:
            yield Thing("rule", REAPER_FUNCTION)
        role = reaper_role_name(self._place.region)
        if _found("GetRole", lambda: self._iam.get_role(RoleName=role)) is not None:
            yield Thing("role", role)
        with aws_call("DescribeLogGroups"):
            groups = self._logs.describe_log_groups(logGroupNamePrefix=_LOG)["logGroups"]
        if any(each["logGroupName"] == _LOG for each in groups):
            yield Thing("log-group", _LOG)
        with aws_call("GetParameters"):
            parameters = self._ssm.get_parameters(Names=[HEARTBEAT, FREEZE])["Parameters"]
        for each in parameters:
            yield Thing("parameter", each["Name"])

    def forget(self) -> bool:
        """
        Delete the parameters: the reaper and people made them, no stack.

        Returns:
            Whether there was a parameter.
        """
        with aws_call("DeleteParameters", changes=True):
            return bool(self._ssm.delete_parameters(Names=[HEARTBEAT, FREEZE])["DeletedParameters"])


def _found(name: str, ask: Callable[[], Answer]) -> Answer | None:
    """The answer; None where what is asked for isn't there."""
    with aws_call(name):
        try:
            return ask()
        except ClientError as failure:
            if code_of(failure) in _THERE_IS_NONE:
                return None
            raise
