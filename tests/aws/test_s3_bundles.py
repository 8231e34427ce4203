"""Bundles in S3: put, tagged, handed out by a URL that needs no credentials, deleted."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws
from types_boto3_s3 import S3Client

from annex_core.adapters.aws_session import AwsRegion
from annex_core.adapters.s3 import S3BundleStore, bundle_store
from annex_core.errors import NotPermitted, Refused, Unavailable
from rehearsal.cloud.cloud import LocalCloud

OURS = {f"htcondor:Tag{n}": f"value {n}" for n in range(8)}


@pytest.fixture
def region(tmp_path: Path) -> AwsRegion:
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = hush\n")
    return AwsRegion("us-east-2", credentials_file=str(file))


@pytest.fixture
def s3(region: AwsRegion) -> Iterator[S3Client]:
    with mock_aws():
        client = region.s3()
        client.create_bucket(Bucket="bundles", CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
        yield client


def tags_in(s3: S3Client, key: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in s3.get_object_tagging(Bucket="bundles", Key=key)["TagSet"]}


def test_a_bundle_is_stored_as_it_is(s3: S3Client) -> None:
    S3BundleStore(s3, "bundles").put("config-blue.tar.gz", b"\x1f\x8b\x00", OURS)
    assert s3.get_object(Bucket="bundles", Key="config-blue.tar.gz")["Body"].read() == b"\x1f\x8b\x00"


def test_a_bundle_carries_its_annex_tags(s3: S3Client) -> None:
    S3BundleStore(s3, "bundles").put("config-blue.tar.gz", b"", OURS | {"htcondor:Owner": "a=b c+d"})
    assert tags_in(s3, "config-blue.tar.gz") == OURS | {"htcondor:Owner": "a=b c+d"}


def test_of_more_tags_than_an_object_takes_ours_stay(s3: S3Client) -> None:
    extra = {f"Site{n}": "x" for n in range(9)}
    S3BundleStore(s3, "bundles").put("config-blue.tar.gz", b"", extra | OURS)
    kept = tags_in(s3, "config-blue.tar.gz")
    assert kept == OURS | {"Site0": "x", "Site1": "x"}


def test_a_second_bundle_of_an_annex_replaces_the_first(s3: S3Client) -> None:
    store = S3BundleStore(s3, "bundles")
    store.put("config-blue.tar.gz", b"old", OURS)
    store.put("config-blue.tar.gz", b"new", OURS)
    assert s3.get_object(Bucket="bundles", Key="config-blue.tar.gz")["Body"].read() == b"new"


def test_a_deleted_bundle_is_gone(s3: S3Client) -> None:
    store = S3BundleStore(s3, "bundles")
    store.put("config-blue.tar.gz", b"", OURS)
    store.delete("config-blue.tar.gz")
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket="bundles", Key="config-blue.tar.gz")


def test_deleting_what_is_gone_already_is_fine(s3: S3Client) -> None:
    S3BundleStore(s3, "bundles").delete("config-blue.tar.gz")


def test_a_bucket_that_is_not_there_is_refused(s3: S3Client) -> None:
    with pytest.raises(Refused, match="PutObject: NoSuchBucket"):
        S3BundleStore(s3, "elsewhere").put("config-blue.tar.gz", b"", OURS)


@pytest.mark.parametrize(
    ("code", "status", "kind"), [("AccessDenied", 403, NotPermitted), ("SlowDown", 503, Unavailable)]
)
def test_a_failed_put_says_what_to_do_next(region: AwsRegion, code: str, status: int, kind: type[Exception]) -> None:
    client = region.s3()
    with Stubber(client) as stub:
        stub.add_client_error("put_object", service_error_code=code, http_status_code=status)
        with pytest.raises(kind):
            S3BundleStore(client, "bundles").put("config-blue.tar.gz", b"", OURS)


SET_UPS = "condor-annex-123456789012-us-east-2"


@pytest.mark.parametrize(
    ("bucket", "said"),
    [(SET_UPS, {"ExpectedBucketOwner": "123456789012"}), ("bundles", {}), ("condor-annex-rehearsal", {})],
)
def test_a_bucket_that_is_named_after_an_account_has_to_be_that_accounts(
    region: AwsRegion, bucket: str, said: dict[str, str]
) -> None:
    client = region.s3()
    store = S3BundleStore(client, bucket)
    object_ = {"Bucket": bucket, "Key": "config-blue.tar.gz"}
    with Stubber(client) as stub:
        stub.add_response("put_object", {}, {**object_, "Body": b"token", "Tagging": "a=b", **said})
        stub.add_response("delete_object", {}, {**object_, **said})
        store.put("config-blue.tar.gz", b"token", {"a": "b"})
        store.delete("config-blue.tar.gz")


@pytest.mark.usefixtures("region")
def test_no_bundle_goes_to_somebody_else_who_has_a_bucket_of_our_name(tmp_path: Path) -> None:
    with LocalCloud() as ours, LocalCloud(account="210987654321", bucket=SET_UPS):
        aws = AwsRegion("us-east-2", endpoint=ours.url, credentials_file=str(tmp_path / "credentials"))
        store = bundle_store(aws, SET_UPS)
        with pytest.raises(NotPermitted, match="PutObject: AccessDenied"):
            store.put("config-blue.tar.gz", b"token", OURS)
        with pytest.raises(NotPermitted, match="DeleteObject: AccessDenied"):
            store.delete("config-blue.tar.gz")


def test_a_url_names_the_region_s_own_host(region: AwsRegion) -> None:
    url = bundle_store(region, "bundles").url("config-blue.tar.gz", expires_in=1800)
    assert url.startswith("https://bundles.s3.us-east-2.amazonaws.com/config-blue.tar.gz?")


def test_at_another_endpoint_the_bucket_stands_in_the_path(region: AwsRegion, tmp_path: Path) -> None:
    local = AwsRegion("us-east-2", endpoint="http://cloud:4566", credentials_file=str(tmp_path / "credentials"))
    url = bundle_store(local, "bundles").url("config-blue.tar.gz", expires_in=60)
    assert url.startswith("http://cloud:4566/bundles/config-blue.tar.gz?")


def test_a_url_is_signed_with_version_4_for_as_long_as_asked(region: AwsRegion) -> None:
    query = parse_qs(urlsplit(bundle_store(region, "bundles").url("config-blue.tar.gz", expires_in=1800)).query)
    assert (query["X-Amz-Algorithm"], query["X-Amz-Expires"]) == (["AWS4-HMAC-SHA256"], ["1800"])


def test_a_url_asks_for_no_header_but_the_host(region: AwsRegion) -> None:
    query = parse_qs(urlsplit(bundle_store(region, SET_UPS).url("config-blue.tar.gz", expires_in=60)).query)
    assert query["X-Amz-SignedHeaders"] == ["host"]
