"""
What AWS, or the way to it, says went wrong, as errors.py's classes.

Source:
    "Error codes for the Amazon EC2 API", "Common error types", and S3's "Error responses" for the codes;
    botocore.exceptions for the failures on the way.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from annex_core.errors import (
    AnnexError,
    NoCapacity,
    NotPermitted,
    OutcomeUnknown,
    OverQuota,
    OverVcpuQuota,
    Refused,
    Throttled,
    Unavailable,
)

_CODES: dict[type[AnnexError], str] = {
    Throttled: """
        BandwidthLimitExceeded EC2ThrottledException RequestLimitExceeded RequestResourceCountExceeded
        RequestThrottled RequestThrottledException SlowDown ThrottledException Throttling ThrottlingException
        TooManyRequestsException
        """,
    NoCapacity: """
        InsufficientCapacity InsufficientCapacityOnHost InsufficientFreeAddressesInSubnet InsufficientHostCapacity
        InsufficientInstanceCapacity SpotMaxPriceTooLow UnfulfillableCapacity Unsupported VolumeTypeNotAvailableInZone
        """,
    OverQuota: """
        MaxFleetCountExceeded MaxSpotFleetRequestCountExceeded MaxTemplateLimitExceeded
        MaxTemplateVersionLimitExceeded NetworkInterfaceLimitExceeded ResourceCountExceeded ResourceLimitExceeded
        VolumeLimitExceeded
        """,
    OverVcpuQuota: """
        InstanceLimitExceeded MaxSpotInstanceCountExceeded VcpuLimitExceeded
        """,
    NotPermitted: """
        AccessDenied AccessDeniedException AccountProblem AllAccessDisabled AuthFailure Blocked ExpiredToken
        ExpiredTokenException IncompleteSignature InvalidAccessKeyId InvalidClientTokenId InvalidSecurity InvalidToken
        MissingAuthenticationToken NotAuthorized NotSignedUp OptInRequired PendingVerification RequestExpired
        RequestTimeTooSkewed SignatureDoesNotMatch UnauthorizedOperation UnrecognizedClientException
        """,
    # Refused before anything was done, for a reason that passes.
    Unavailable: """
        ConcurrentTagAccess InvalidPaginationToken OperationAborted
        """,
    # IdempotentParameterMismatch: an earlier call with this client token did act, on other parameters. The others with
    # whatever HTTP status: S3 says RequestTimeout with a 400.
    OutcomeUnknown: """
        IdempotentParameterMismatch InternalError InternalFailure InternalServerError RequestTimeout
        RequestTimeoutException ServerInternal ServiceUnavailable Unavailable
        """,
}
"""A code that isn't here counts by its HTTP status: 429 is Throttled, 5xx OutcomeUnknown, all others Refused."""

_FAILURES: tuple[tuple[type[Exception], type[AnnexError]], ...] = (
    # Before anything was sent.
    (boto.ConnectTimeoutError, Unavailable),
    (boto.EndpointConnectionError, Unavailable),
    (boto.ProxyConnectionError, Unavailable),
    (boto.MetadataRetrievalError, Unavailable),
    # Credentials that can't be had, or had in part.
    (boto.NoCredentialsError, NotPermitted),
    (boto.PartialCredentialsError, NotPermitted),
    (boto.CredentialRetrievalError, NotPermitted),
    (boto.NoAuthTokenError, NotPermitted),
    (boto.TokenRetrievalError, NotPermitted),
    (boto.ProfileNotFound, NotPermitted),
    (boto.ConfigParseError, NotPermitted),
    # After it was sent, or nobody can tell: read timeouts, connections closed early, half an answer, nonsense.
    (boto.HTTPClientError, OutcomeUnknown),
    (boto.SSLError, OutcomeUnknown),
    (boto.IncompleteReadError, OutcomeUnknown),
    (boto.ChecksumError, OutcomeUnknown),
    (ResponseParserError, OutcomeUnknown),
)
"""Read from the top, the first class that fits counts; what fits none, such as wrong parameters, is Refused."""

_MEANING = {code: kind for kind, codes in _CODES.items() for code in codes.split()}

_MESSAGE_LENGTH = 500
_MINUTE = timedelta(minutes=1)
_SIGNED_FOR = 4 * _MINUTE
"""A signature is good for five."""
# The encoded half of a refusal is for `aws sts decode-authorization-message`, a kilobyte of noise for anybody else;
# botocore's words on a parameter repeat its value, and user data holds the bundle's presigned URL.
_NOISE = re.compile(r"\s*Encoded authorization failure message:.*|, value: .*", re.DOTALL)


@contextmanager
def aws_call(name: str, *, changes: bool = False) -> Iterator[None]:
    """
    Turn the failure of an AWS call into one of ours.

    Args:
        name: The API's name of the call, RequestSpotFleet, for the sentence.
        changes: It changes something; without a clear answer to a call that only asks, nothing is unknown.
    """
    try:
        yield
    except (boto.ClientError, boto.BotoCoreError, ResponseParserError) as failure:
        kind = _kind(failure)
        if kind is OutcomeUnknown and not changes:
            kind = Unavailable
        clock = _clock_of(failure) if kind is NotPermitted else ""
        raise kind(f"{name}: {_words(failure)}{clock}") from failure


def error_of(call: str, code: str, message: str) -> AnnexError:
    """What an answer says beside what it brings, as the failure that it would be of a whole call."""
    kind = _MEANING.get(code, Refused)
    return kind(_NOISE.sub("", f"{call}: {code}: {message}")[:_MESSAGE_LENGTH])


def code_of(failure: boto.ClientError) -> str:
    """AWS's code for the failure, empty where the answer had none."""
    return failure.response.get("Error", {}).get("Code", "")


def _kind(failure: Exception) -> type[AnnexError]:
    if not isinstance(failure, boto.ClientError):
        return next((meaning for kind, meaning in _FAILURES if isinstance(failure, kind)), Refused)
    known = _MEANING.get(code_of(failure))
    if known is not None:
        return known
    status = failure.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled
    return OutcomeUnknown if status >= HTTPStatus.INTERNAL_SERVER_ERROR else Refused


def _clock_of(failure: Exception) -> str:
    """AWS takes no signature that is minutes old, or to come, and its words on that are those on a wrong key."""
    answer = failure.response.get("ResponseMetadata", {}) if isinstance(failure, boto.ClientError) else {}
    try:
        theirs = parsedate_to_datetime(answer.get("HTTPHeaders", {}).get("date", ""))
    except ValueError:
        return ""
    ahead = theirs.astimezone(UTC) - datetime.now(UTC)
    if abs(ahead) < _SIGNED_FOR:
        return ""
    off = "behind" if ahead > timedelta(0) else "ahead of"
    return f" (the clock of this machine is {abs(ahead) / _MINUTE:.0f} minutes {off} AWS's: set it right)"


def _words(failure: Exception) -> str:
    if isinstance(failure, boto.ClientError):
        said = failure.response.get("Error", {}).get("Message", "")
        words = f"{code_of(failure)}: {said}" if said else code_of(failure) or str(failure)
    else:
        words = str(failure)
    return _NOISE.sub("", words)[:_MESSAGE_LENGTH] or type(failure).__name__
