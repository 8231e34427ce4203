"""What a failure of AWS, or of the way to it, asks of the daemon."""

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from annex_core.adapters.aws_errors import aws_call
from annex_core.adapters.aws_session import AwsRegion
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

CODES = [
    (Throttled, "BandwidthLimitExceeded"),
    (Throttled, "EC2ThrottledException"),
    (Throttled, "RequestLimitExceeded"),
    (Throttled, "RequestResourceCountExceeded"),
    (Throttled, "RequestThrottled"),
    (Throttled, "RequestThrottledException"),
    (Throttled, "SlowDown"),
    (Throttled, "ThrottledException"),
    (Throttled, "Throttling"),
    (Throttled, "ThrottlingException"),
    (Throttled, "TooManyRequestsException"),
    (NoCapacity, "InsufficientCapacity"),
    (NoCapacity, "InsufficientCapacityOnHost"),
    (NoCapacity, "InsufficientFreeAddressesInSubnet"),
    (NoCapacity, "InsufficientHostCapacity"),
    (NoCapacity, "InsufficientInstanceCapacity"),
    (NoCapacity, "SpotMaxPriceTooLow"),
    (NoCapacity, "UnfulfillableCapacity"),
    (NoCapacity, "Unsupported"),
    (NoCapacity, "VolumeTypeNotAvailableInZone"),
    (OverVcpuQuota, "InstanceLimitExceeded"),
    (OverQuota, "MaxFleetCountExceeded"),
    (OverQuota, "MaxSpotFleetRequestCountExceeded"),
    (OverVcpuQuota, "MaxSpotInstanceCountExceeded"),
    (OverQuota, "MaxTemplateLimitExceeded"),
    (OverQuota, "MaxTemplateVersionLimitExceeded"),
    (OverQuota, "NetworkInterfaceLimitExceeded"),
    (OverQuota, "ResourceCountExceeded"),
    (OverQuota, "ResourceLimitExceeded"),
    (OverVcpuQuota, "VcpuLimitExceeded"),
    (OverQuota, "VolumeLimitExceeded"),
    (NotPermitted, "AccessDenied"),
    (NotPermitted, "AccessDeniedException"),
    (NotPermitted, "AccountProblem"),
    (NotPermitted, "AllAccessDisabled"),
    (NotPermitted, "AuthFailure"),
    (NotPermitted, "Blocked"),
    (NotPermitted, "ExpiredToken"),
    (NotPermitted, "ExpiredTokenException"),
    (NotPermitted, "IncompleteSignature"),
    (NotPermitted, "InvalidAccessKeyId"),
    (NotPermitted, "InvalidClientTokenId"),
    (NotPermitted, "InvalidSecurity"),
    (NotPermitted, "InvalidToken"),
    (NotPermitted, "MissingAuthenticationToken"),
    (NotPermitted, "NotAuthorized"),
    (NotPermitted, "NotSignedUp"),
    (NotPermitted, "OptInRequired"),
    (NotPermitted, "PendingVerification"),
    (NotPermitted, "RequestExpired"),
    (NotPermitted, "RequestTimeTooSkewed"),
    (NotPermitted, "SignatureDoesNotMatch"),
    (NotPermitted, "UnauthorizedOperation"),
    (NotPermitted, "UnrecognizedClientException"),
    (Unavailable, "ConcurrentTagAccess"),
    (Unavailable, "InvalidPaginationToken"),
    (Unavailable, "OperationAborted"),
    (OutcomeUnknown, "IdempotentParameterMismatch"),
    (OutcomeUnknown, "InternalError"),
    (OutcomeUnknown, "InternalFailure"),
    (OutcomeUnknown, "InternalServerError"),
    (OutcomeUnknown, "RequestTimeout"),
    (OutcomeUnknown, "RequestTimeoutException"),
    (OutcomeUnknown, "ServerInternal"),
    (OutcomeUnknown, "ServiceUnavailable"),
    (OutcomeUnknown, "Unavailable"),
    (Refused, "InvalidParameterValue"),
    (Refused, "InvalidSubnetID.NotFound"),
    (Refused, "OperationNotPermitted"),
    (Refused, "NoSuchBucket"),
]

URL = "https://ec2.us-east-2.amazonaws.com/"

FAILURES: list[tuple[type[AnnexError], Exception]] = [
    (Unavailable, boto.ConnectTimeoutError(endpoint_url=URL)),
    (Unavailable, boto.EndpointConnectionError(endpoint_url=URL)),
    (Unavailable, boto.ProxyConnectionError(proxy_url=URL)),
    (Unavailable, boto.MetadataRetrievalError(error_msg="no answer")),
    (NotPermitted, boto.NoCredentialsError()),
    (NotPermitted, boto.PartialCredentialsError(provider="file", cred_var="aws_secret_access_key")),
    (NotPermitted, boto.CredentialRetrievalError(provider="process", error_msg="exit 1")),
    (NotPermitted, boto.NoAuthTokenError()),
    (NotPermitted, boto.TokenRetrievalError(provider="sso", error_msg="expired")),
    (NotPermitted, boto.ProfileNotFound(profile="default")),
    (NotPermitted, boto.ConfigParseError(path="credentials", error="no section")),
    (OutcomeUnknown, boto.ReadTimeoutError(endpoint_url=URL)),
    (OutcomeUnknown, boto.ConnectionClosedError(endpoint_url=URL)),
    (OutcomeUnknown, boto.ResponseStreamingError(error="reset")),
    (OutcomeUnknown, boto.HTTPClientError(error="who knows")),
    (OutcomeUnknown, boto.SSLError(endpoint_url=URL, error=OSError("bad record mac"))),
    (OutcomeUnknown, boto.IncompleteReadError(actual_bytes=3, expected_bytes=9)),
    (OutcomeUnknown, boto.ChecksumError(checksum_type="crc32", expected_checksum="1", actual_checksum="2")),
    (OutcomeUnknown, ResponseParserError("not well-formed")),
    (Refused, boto.ParamValidationError(report="Missing required parameter in input")),
]


def refusal(code: str, message: str = "no", status: int = 400) -> boto.ClientError:
    return boto.ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "RequestSpotFleet",
    )


def raised(failure: Exception, *, changes: bool = True) -> AnnexError:
    with pytest.raises(AnnexError) as caught, aws_call("RequestSpotFleet", changes=changes):
        raise failure
    return caught.value


@pytest.mark.parametrize(("kind", "code"), CODES)
def test_each_code_of_aws_asks_for_one_recovery(kind: type[AnnexError], code: str) -> None:
    assert type(raised(refusal(code))) is kind


@pytest.mark.parametrize(("kind", "failure"), FAILURES, ids=lambda value: getattr(type(value), "__name__", None))
def test_each_failure_on_the_way_asks_for_one_recovery(kind: type[AnnexError], failure: Exception) -> None:
    assert type(raised(failure)) is kind


@pytest.mark.parametrize(
    "failure",
    [refusal("InternalError", status=500), boto.ReadTimeoutError(endpoint_url=URL), ResponseParserError("")],
    ids=["5xx", "timeout", "nonsense"],
)
def test_without_a_clear_answer_a_call_that_only_asks_is_unavailable(failure: Exception) -> None:
    assert type(raised(failure, changes=False)) is Unavailable


def test_a_code_beats_the_status_it_comes_with() -> None:
    assert type(raised(refusal("RequestLimitExceeded", status=503))) is Throttled


@pytest.mark.parametrize(
    ("status", "kind"), [(400, Refused), (404, Refused), (429, Throttled), (500, OutcomeUnknown), (503, OutcomeUnknown)]
)
def test_a_code_nobody_knows_counts_by_its_status(status: int, kind: type[AnnexError]) -> None:
    assert type(raised(refusal("Novelty", status=status))) is kind


def test_the_sentence_names_the_call_and_aws_own_words() -> None:
    assert str(raised(refusal("InvalidSubnetID.NotFound", "The subnet ID 'subnet-1' does not exist"))) == (
        "RequestSpotFleet: InvalidSubnetID.NotFound: The subnet ID 'subnet-1' does not exist"
    )


def test_the_encoded_half_of_a_refusal_is_left_out() -> None:
    failure = refusal("UnauthorizedOperation", "You may not. Encoded authorization failure message: " + "x" * 900)
    assert str(raised(failure)) == "RequestSpotFleet: UnauthorizedOperation: You may not."


def test_a_parameter_is_named_without_its_value() -> None:
    report = "Invalid type for parameter UserData, value: b'https://bucket/?X-Amz-Signature=secret', type: bytes"
    assert "secret" not in str(raised(boto.ParamValidationError(report=report)))


@pytest.mark.parametrize(("ahead", "said"), [(10, "10 minutes behind AWS's"), (-10, "10 minutes ahead of AWS's")])
@pytest.mark.parametrize("code", ["RequestExpired", "RequestTimeTooSkewed", "AuthFailure", "SignatureDoesNotMatch"])
def test_where_the_clock_is_wrong_it_is_said_to_be(code: str, ahead: float, said: str) -> None:
    failure = refusal(code)
    moment = datetime.now(UTC) + timedelta(minutes=ahead)
    failure.response["ResponseMetadata"]["HTTPHeaders"] = {"date": format_datetime(moment, usegmt=True)}
    assert f"the clock of this machine is {said}" in str(raised(failure))


def test_a_clock_that_is_right_is_not_spoken_of() -> None:
    failure = refusal("AuthFailure")
    failure.response["ResponseMetadata"]["HTTPHeaders"] = {"date": format_datetime(datetime.now(UTC), usegmt=True)}
    assert "clock" not in str(raised(failure))


def test_the_cause_stays_with_the_error() -> None:
    failure = refusal("AuthFailure")
    assert raised(failure).__cause__ is failure


class Listener:
    """A server that answers every connection with the same bytes, or only closes it, and counts them."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.connections = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.connections += 1
                connection.recv(65536)
                connection.sendall(self._answer)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def credentials(tmp_path: Path) -> str:
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = hush\n")
    return str(file)


@pytest.fixture
def closing() -> Iterator[Listener]:
    listener = Listener(b"")
    yield listener
    listener.close()


@pytest.fixture
def babbling() -> Iterator[Listener]:
    listener = Listener(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwhat?")
    yield listener
    listener.close()


def test_a_connection_closed_without_an_answer_leaves_the_outcome_unknown(closing: Listener, credentials: str) -> None:
    writer = AwsRegion("us-east-2", endpoint=closing.url, credentials_file=credentials).ec2_writer()
    with pytest.raises(OutcomeUnknown), aws_call("TerminateInstances", changes=True):
        writer.terminate_instances(InstanceIds=["i-1"])


def test_a_call_that_changes_something_is_sent_once(closing: Listener, credentials: str) -> None:
    writer = AwsRegion("us-east-2", endpoint=closing.url, credentials_file=credentials).ec2_writer()
    with pytest.raises(OutcomeUnknown), aws_call("TerminateInstances", changes=True):
        writer.terminate_instances(InstanceIds=["i-1"])
    assert closing.connections == 1


def test_a_call_that_only_asks_is_sent_once_more(closing: Listener, credentials: str) -> None:
    reader = AwsRegion("us-east-2", endpoint=closing.url, credentials_file=credentials).ec2_reader()
    with pytest.raises(Unavailable), aws_call("DescribeInstances"):
        reader.describe_instances()
    assert closing.connections == 2


def test_an_answer_that_is_no_xml_leaves_the_outcome_unknown(babbling: Listener, credentials: str) -> None:
    writer = AwsRegion("us-east-2", endpoint=babbling.url, credentials_file=credentials).ec2_writer()
    with pytest.raises(OutcomeUnknown), aws_call("TerminateInstances", changes=True):
        writer.terminate_instances(InstanceIds=["i-1"])


def test_nobody_listening_is_unavailable(credentials: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    writer = AwsRegion("us-east-2", endpoint=f"http://127.0.0.1:{port}", credentials_file=credentials).ec2_writer()
    with pytest.raises(Unavailable), aws_call("TerminateInstances", changes=True):
        writer.terminate_instances(InstanceIds=["i-1"])


def test_a_credentials_file_that_is_not_there_is_not_permitted(
    closing: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the environment")
    region = AwsRegion("us-east-2", endpoint=closing.url, credentials_file=str(tmp_path / "absent"))
    with pytest.raises(NotPermitted, match="absent"), aws_call("DescribeInstances"):
        region.ec2_reader().describe_instances()
