"""What IAM holds of AWS's own in every account, as far as moto leaves it out."""

from moto.iam.models import SERVICE_NAME_CONVERSION, AWSManagedPolicy, IAMBackend

SERVICE_NAME_CONVERSION |= {"spot": "EC2Spot", "spotfleet": "EC2SpotFleet"}  # how AWS names their roles


SPOT_SERVICES = ("spot.amazonaws.com", "spotfleet.amazonaws.com")


def create_service_linked_roles(iam: IAMBackend) -> None:
    """Those that AWS makes in an account when it first asks for Spot capacity."""
    for service in SPOT_SERVICES:
        iam.create_service_linked_role(service, "", "")


def load_policy_of_fleet_roles(iam: IAMBackend, account: str) -> None:
    """moto loads all of AWS's own policies or none, and all take a second."""
    policy = AWSManagedPolicy.from_data(
        "AmazonEC2SpotFleetTaggingRole",
        account,
        "us-east-1",
        {
            "DefaultVersionId": "v1",
            "Path": "/service-role/",
            "Document": {"Version": "2012-10-17", "Statement": []},
            "CreateDate": "2017-06-29T18:19:29+00:00",
            "UpdateDate": "2020-04-23T19:30:43+00:00",
        },
    )
    iam.managed_policies[policy.arn] = policy
