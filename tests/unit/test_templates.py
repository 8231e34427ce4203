"""The templates of components, beside the table of rights and the checks."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

import pytest
import yaml

from annex_core.account.components import ALL_COMPONENTS
from annex_core.account.policies import policy
from annex_core.account.right import PolicyName
from annex_core.account.roles import meaning

ROLES: list[PolicyName] = [name for name in get_args(PolicyName) if name not in ("setup", "daily")]
VALUES = {"AWS::Partition": "aws", "AWS::AccountId": "123456789012", "AWS::Region": "us-east-2"}


def resolved(value: Any) -> Any:
    """What CloudFormation makes of Fn::Sub and of Ref to what it knows by itself."""
    if isinstance(value, list):
        return [resolved(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "Fn::Sub" in value:
        text = value["Fn::Sub"]
        for name, found in VALUES.items():
            text = text.replace(f"${{{name}}}", found)
        return text
    if "Ref" in value:
        return VALUES.get(value["Ref"], value)
    return {key: resolved(each) for key, each in value.items()}


def templates() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for component in ALL_COMPONENTS:
        yield component.name, yaml.safe_load(component.template())


INLINE = {
    name: resolved(inline["PolicyDocument"])
    for name, template in templates()
    for resource in template["Resources"].values()
    for inline in resource.get("Properties", {}).get("Policies", ())
}
"""The policies that stand in templates, by component."""


@pytest.mark.parametrize("component", INLINE)
def test_a_role_may_do_what_the_table_says_and_nothing_else(component: str) -> None:
    [name] = [name for name in ROLES if component.startswith(name)]
    wanted = policy(name, partition="aws", account="123456789012", region="us-east-2", pool="")
    assert meaning(INLINE[component]) == meaning(wanted)


@pytest.mark.parametrize("component", ALL_COMPONENTS, ids=lambda each: each.name)
def test_a_template_has_the_one_output_that_the_route_takes(component: Any) -> None:
    assert list(yaml.safe_load(component.template())["Outputs"]) == [component.macro]
