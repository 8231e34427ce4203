"""The bundles' bucket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import urlencode

from annex_core.account.components import bucket_owner
from annex_core.adapters.aws_errors import aws_call
from annex_core.adapters.aws_session import AwsRegion
from annex_core.model.tags import PREFIX

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_TAGS_OF_AN_OBJECT = 10


class _Its(TypedDict, total=False):
    ExpectedBucketOwner: str


class S3BundleStore:
    """
    A BundleStore in one bucket, which must exist.

    Encryption at rest is the bucket's own default: with SSE-KMS that is the admin's key, which a setting here would
    override.
    """

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        owner = bucket_owner(bucket)
        self._its: _Its = {"ExpectedBucketOwner": owner} if owner else {}
        """A bundle has a token in it: never into a bucket that somebody else has got by that name."""

    def put(self, key: str, content: bytes, tags: Mapping[str, str]) -> None:
        """S3 takes ten tags an object: ours, and as many of the route's own as fit."""
        ours_first = sorted(tags.items(), key=lambda tag: not tag[0].startswith(PREFIX))[:_TAGS_OF_AN_OBJECT]
        with aws_call("PutObject", changes=True):
            self._client.put_object(
                Bucket=self._bucket, Key=key, Body=content, Tagging=urlencode(ours_first), **self._its
            )

    def url(self, key: str, *, expires_in: int) -> str:
        """
        Args:
            expires_in: Seconds, at most 7 days. Signed with a role's session it ends with the session, if sooner.
                The bucket's owner is not in it, for whoever fetches by it would have to name it in a header.
        """
        with aws_call("GetObject, presigned"):
            return self._client.generate_presigned_url(
                "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=expires_in
            )

    def delete(self, key: str) -> None:
        with aws_call("DeleteObject", changes=True):
            self._client.delete_object(Bucket=self._bucket, Key=key, **self._its)


def bundle_store(region: AwsRegion, bucket: str) -> S3BundleStore:
    return S3BundleStore(region.s3(), bucket)
