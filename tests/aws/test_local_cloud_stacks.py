"""CloudFormation in the local cloud: what moto leaves out, and our templates must not be able to rely on."""

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from types_boto3_cloudformation import CloudFormationClient

from annex_core.account.components import COMPONENTS, FLEET_POLICY
from rehearsal.cloud.cloud import LocalCloud

ACCOUNT = "123456789012"
BUCKET = f"condor-annex-{ACCOUNT}-us-east-2"
ONE_BUCKET = f"Resources: {{Bucket: {{Type: AWS::S3::Bucket, Properties: {{BucketName: {BUCKET}}}}}}}"
ONE_ROLE = """
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: lent
      AssumeRolePolicyDocument: {Version: "2012-10-17", Statement: []}
      ManagedPolicyArns: ["arn:aws:iam::aws:policy/service-role/AmazonEC2SpotFleetTaggingRole"]
"""


@pytest.fixture
def client(local_cloud: LocalCloud, session: boto3.Session) -> Callable[[str], Any]:
    return lambda service: session.client(service, endpoint_url=local_cloud.url)  # type: ignore[call-overload]


@pytest.fixture
def stacks(client: Callable[[str], Any]) -> CloudFormationClient:
    return client("cloudformation")  # type: ignore[no-any-return]


def status(stacks: CloudFormationClient, name: str) -> str:
    return stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
def test_a_template_of_ours_is_one_to_cloudformation_s_linter(component: Any, stacks: CloudFormationClient) -> None:
    assert stacks.validate_template(TemplateBody=component.template())["Description"].startswith("condor-annex")


def test_a_stack_takes_its_time(
    stacks: CloudFormationClient, control: Callable[..., Any], settle: Callable[[float], None]
) -> None:
    control("PUT", "/settings", {"stack_delay_s": 60})
    stacks.create_stack(StackName="one", TemplateBody=ONE_BUCKET)
    assert status(stacks, "one") == "CREATE_IN_PROGRESS"
    settle(60)
    assert status(stacks, "one") == "CREATE_COMPLETE"
    stacks.delete_stack(StackName="one")
    assert status(stacks, "one") == "DELETE_IN_PROGRESS"
    settle(60)
    with pytest.raises(ClientError, match="ValidationError"):
        status(stacks, "one")


def test_a_stack_that_fails_is_rolled_back_and_says_why(stacks: CloudFormationClient) -> None:
    with LocalCloud(account="210987654321", bucket=BUCKET):
        stacks.create_stack(StackName="one", TemplateBody=ONE_BUCKET)
    assert status(stacks, "one") == "ROLLBACK_COMPLETE"
    newest = stacks.describe_stack_events(StackName="one")["StackEvents"][0]
    assert (newest["LogicalResourceId"], newest["ResourceStatus"]) == ("Bucket", "CREATE_FAILED")
    assert "BucketAlreadyExists" in newest["ResourceStatusReason"]


def test_a_stack_that_fails_is_deleted_where_that_was_asked_for(stacks: CloudFormationClient) -> None:
    with LocalCloud(account="210987654321", bucket=BUCKET):
        made = stacks.create_stack(StackName="one", TemplateBody=ONE_BUCKET, OnFailure="DELETE")["StackId"]
    with pytest.raises(ClientError, match="ValidationError"):
        status(stacks, "one")
    assert status(stacks, made) == "DELETE_COMPLETE"


def test_a_bucket_with_objects_stays(stacks: CloudFormationClient, client: Callable[[str], Any]) -> None:
    stacks.create_stack(StackName="one", TemplateBody=ONE_BUCKET)
    client("s3").put_object(Bucket=BUCKET, Key="config-blue.tar.gz", Body=b"x")
    stacks.delete_stack(StackName="one")
    assert status(stacks, "one") == "DELETE_FAILED"
    client("s3").delete_object(Bucket=BUCKET, Key="config-blue.tar.gz")
    stacks.delete_stack(StackName="one")
    assert BUCKET not in [each["Name"] for each in client("s3").list_buckets()["Buckets"]]


def test_a_role_of_a_given_name_takes_a_capability(stacks: CloudFormationClient) -> None:
    with pytest.raises(ClientError, match="InsufficientCapabilities"):
        stacks.create_stack(StackName="one", TemplateBody=ONE_ROLE)


def test_a_role_has_the_policies_and_the_tags_of_its_stack(
    stacks: CloudFormationClient, client: Callable[[str], Any]
) -> None:
    tag = {"Key": "htcondor:Component", "Value": "fleet-role"}
    stacks.create_stack(StackName="one", TemplateBody=ONE_ROLE, Capabilities=["CAPABILITY_NAMED_IAM"], Tags=[tag])
    iam = client("iam")
    assert iam.get_role(RoleName="lent")["Role"]["Tags"] == [tag]
    [attached] = iam.list_attached_role_policies(RoleName="lent")["AttachedPolicies"]
    assert attached["PolicyArn"] == f"arn:aws:iam::aws:policy/{FLEET_POLICY}"


def test_a_bucket_of_another_account_than_expected_is_refused(client: Callable[[str], Any]) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    s3.head_bucket(Bucket=BUCKET, ExpectedBucketOwner=ACCOUNT)
    with pytest.raises(ClientError, match="403"):
        s3.head_bucket(Bucket=BUCKET, ExpectedBucketOwner="210987654321")


def test_aws_s_own_roles_are_called_as_aws_calls_them(client: Callable[[str], Any]) -> None:
    made = client("iam").create_service_linked_role(AWSServiceName="spotfleet.amazonaws.com")
    assert made["Role"]["RoleName"] == "AWSServiceRoleForEC2SpotFleet"


def test_a_deleted_security_group_takes_its_tags_along(client: Callable[[str], Any]) -> None:
    ec2 = client("ec2")
    tags = [{"ResourceType": "security-group", "Tags": [{"Key": "htcondor:Component", "Value": "x"}]}]
    group = ec2.create_security_group(GroupName="one", Description="x", TagSpecifications=tags)["GroupId"]
    assert ec2.describe_tags()["Tags"]
    ec2.delete_security_group(GroupId=group)
    assert ec2.describe_tags()["Tags"] == []
