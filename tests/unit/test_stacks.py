"""Stacks, from wherever they stand to what they have to be."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from annex_core.account.components import COMPONENTS, SECURITY_GROUP, Component
from annex_core.account.stacks import Built, Stack, Step, build, next_step, take_down
from annex_core.errors import Refused, Unavailable

VPC = {"Vpc": "vpc-1"}
DIGEST = SECURITY_GROUP.digest()
COMPLETE = Stack("id-0", "CREATE_COMPLETE", DIGEST, VPC, {"AnnexSecurityGroups": "sg-1"})


@dataclass
class FakeStacks:
    """
    One stack. What is begun stays in progress for *looks* looks; creating ends in *created*, updating in *updated*,
    deleting in *deleted* (None: it is gone).
    """

    stack: Stack | None = None
    looks: int = 0
    created: str | None = "CREATE_COMPLETE"
    updated: str = "UPDATE_COMPLETE"
    deleted: str | None = None
    calls: list[str] = field(default_factory=list)
    _left: int = 0
    _becomes: Stack | None = None

    def find(self, name: str) -> Stack | None:
        assert name == SECURITY_GROUP.stack
        if self.stack and self.stack.status.endswith("_IN_PROGRESS"):
            if self._left == 0:
                self.stack = self._becomes
            self._left -= 1
        return self.stack

    def _begin(self, meanwhile: str, becomes: Stack | None) -> None:
        self.calls.append(meanwhile.partition("_")[0].lower())
        self.stack = replace(becomes or COMPLETE, status=meanwhile)
        self._left, self._becomes = self.looks, becomes

    def create(self, component: Component, parameters: Mapping[str, str]) -> str:
        assert self.stack is None
        made = replace(COMPLETE, parameters=parameters)
        self._begin("CREATE_IN_PROGRESS", replace(made, status=self.created) if self.created else None)
        return "id-0"

    def update(self, component: Component, parameters: Mapping[str, str]) -> None:
        assert self.stack
        changed = replace(self.stack, status=self.updated)
        if self.updated == "UPDATE_COMPLETE":
            changed = replace(changed, digest=component.digest(), parameters=parameters)
        self._begin("UPDATE_IN_PROGRESS", changed)

    def delete(self, name: str) -> None:
        self._begin("DELETE_IN_PROGRESS", replace(COMPLETE, status=self.deleted) if self.deleted else None)

    def failure(self, stack_id: str) -> str:
        return f"{stack_id} has a reason"


def at(status: str, digest: str = DIGEST) -> FakeStacks:
    return FakeStacks(replace(COMPLETE, status=status, digest=digest))


def built(stacks: FakeStacks) -> Built:
    return build(stacks, SECURITY_GROUP, VPC, pause=lambda: None)


def test_what_is_not_there_is_made() -> None:
    stacks = FakeStacks(looks=3)
    assert (built(stacks), stacks.calls) == (Built("sg-1", "made"), ["create"])


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"])
def test_what_is_as_it_has_to_be_is_left_alone(status: str) -> None:
    stacks = at(status)
    assert (built(stacks), stacks.calls) == (Built("sg-1", "unchanged"), [])


def test_what_another_version_made_is_brought_up_to_date() -> None:
    stacks = at("CREATE_COMPLETE", digest="another")
    assert (built(stacks), stacks.calls) == (Built("sg-1", "updated"), ["update"])


def test_another_vpc_is_a_change() -> None:
    assert next_step(COMPLETE, SECURITY_GROUP, {"Vpc": "vpc-2"}) is Step.UPDATE


@pytest.mark.parametrize(
    "status", ["CREATE_FAILED", "DELETE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "REVIEW_IN_PROGRESS"]
)
def test_what_failed_before_is_deleted_and_made_anew(status: str) -> None:
    stacks = at(status)
    if status == "REVIEW_IN_PROGRESS":  # Nobody works on it: it stays so.
        stacks._becomes, stacks._left = stacks.stack, 99
    assert (built(stacks), stacks.calls) == (Built("sg-1", "made"), ["delete", "create"])


def test_what_somebody_else_is_making_is_waited_for() -> None:
    stacks = at("CREATE_IN_PROGRESS")
    stacks._becomes, stacks._left = COMPLETE, 3
    assert (built(stacks), stacks.calls) == (Built("sg-1", "unchanged"), [])


def test_what_is_still_being_deleted_is_waited_for_and_made() -> None:
    stacks = at("DELETE_IN_PROGRESS")
    assert (built(stacks), stacks.calls) == (Built("sg-1", "made"), ["create"])


@pytest.mark.parametrize("created", [None, "ROLLBACK_COMPLETE"], ids=["deleted by CloudFormation", "rolled back"])
def test_what_can_not_be_made_says_why_and_is_not_tried_twice(created: str | None) -> None:
    stacks = FakeStacks(created=created)
    with pytest.raises(Refused, match="id-0 has a reason"):
        built(stacks)
    assert stacks.calls == ["create"]


def test_an_update_that_is_rolled_back_says_why() -> None:
    stacks = FakeStacks(replace(COMPLETE, digest="another"), updated="UPDATE_ROLLBACK_COMPLETE")
    with pytest.raises(Refused, match="id-0 has a reason"):
        built(stacks)
    assert stacks.calls == ["update"]


def test_a_stack_that_is_stuck_says_what_to_run() -> None:
    with pytest.raises(Refused, match="continue-update-rollback --stack-name condor-annex-security-group"):
        built(at("UPDATE_ROLLBACK_FAILED"))


def test_what_failed_before_and_can_not_be_deleted_says_why() -> None:
    stacks = FakeStacks(replace(COMPLETE, status="DELETE_FAILED"), deleted="DELETE_FAILED")
    with pytest.raises(Refused, match="has a reason"):
        built(stacks)


def test_waiting_ends_when_the_pause_says_so() -> None:
    def give_up() -> None:
        raise Unavailable("still at it")

    stacks = FakeStacks(looks=9)
    with pytest.raises(Unavailable):
        build(stacks, SECURITY_GROUP, VPC, pause=give_up)
    assert built(stacks).value == "sg-1"
    assert stacks.calls == ["create"]


def test_a_stack_is_taken_down() -> None:
    stacks = FakeStacks(COMPLETE, looks=3)
    assert take_down(stacks, SECURITY_GROUP, pause=lambda: None)
    assert (stacks.stack, stacks.calls) == (None, ["delete"])


def test_no_stack_is_nothing_to_take_down() -> None:
    assert not take_down(FakeStacks(), SECURITY_GROUP, pause=lambda: None)


def test_a_stack_that_could_not_be_taken_down_once_is_tried_again() -> None:
    stacks = at("DELETE_FAILED")
    assert take_down(stacks, SECURITY_GROUP, pause=lambda: None)


def test_a_stack_that_can_not_be_taken_down_says_why() -> None:
    with pytest.raises(Refused, match="has a reason"):
        take_down(FakeStacks(COMPLETE, deleted="DELETE_FAILED"), SECURITY_GROUP, pause=lambda: None)


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
def test_a_template_s_output_is_the_macro_that_takes_it(component: Component) -> None:
    assert f"Outputs:\n  {component.macro}:\n" in component.template()
