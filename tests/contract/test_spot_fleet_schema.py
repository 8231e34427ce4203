"""schemas/spot-fleet.json is what botocore says that RequestSpotFleet takes, and each attribute of it has a fate."""

from typing import Any

import botocore.session
import pytest

from annex_core.adapters.schemas import schema
from annex_core.fleet_file.treatment import FLEET, OVERRIDE, SPECIFICATION, TEMPLATE
from tools import make_spot_fleet_schema


def test_the_schema_is_what_botocore_knows() -> None:
    assert schema("spot-fleet") == make_spot_fleet_schema.schema()


@pytest.mark.parametrize(
    ("shape", "treatment"),
    [
        ("SpotFleetRequestConfigData", FLEET),
        ("SpotFleetLaunchSpecification", SPECIFICATION),
        ("LaunchTemplateOverrides", OVERRIDE),
    ],
)
def test_each_attribute_has_a_fate(shape: str, treatment: dict[str, str]) -> None:
    assert treatment.keys() == schema("spot-fleet")["$defs"][shape]["properties"].keys()


def test_each_attribute_of_a_launch_template_has_a_fate() -> None:
    model: Any = botocore.session.get_session().get_service_model("ec2")
    described = model.operation_model("DescribeLaunchTemplateVersions").output_shape
    data = described.members["LaunchTemplateVersions"].member.members["LaunchTemplateData"]

    assert TEMPLATE.keys() == data.members.keys()
