"""How a component's stack gets from wherever it stands to what its template says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from annex_core.account.components import Component
from annex_core.errors import Refused

_FAILED = {"CREATE_FAILED", "DELETE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "REVIEW_IN_PROGRESS"}
"""Good for nothing but to be deleted."""


@dataclass(frozen=True)
class Stack:
    id: str
    status: str
    """As CloudFormation says it: CREATE_COMPLETE."""
    digest: str
    """Of the template that it was made from, as its tag says."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)


class Step(Enum):
    """What is to be done next; its value says it of the dry run."""

    LEAVE = "is there, and stays as it is"
    CREATE = "would be made"
    UPDATE = "is there, and would be brought up to date"
    CLEAR = "failed before; would be deleted, and made anew"
    WAIT = "is being worked on at this moment"
    STUCK = "is stuck"


class Stacks(Protocol):
    """CloudFormation in one region."""

    def find(self, name: str) -> Stack | None: ...

    def create(self, component: Component, parameters: Mapping[str, str]) -> str:
        """
        Begin to make it; where that fails, CloudFormation deletes what it made.

        Returns:
            The new stack's id.
        """
        ...

    def update(self, component: Component, parameters: Mapping[str, str]) -> None: ...

    def delete(self, name: str) -> None:
        """Begin to delete it."""
        ...

    def failure(self, stack_id: str) -> str:
        """What went wrong first, also of a stack that is deleted."""
        ...


def next_step(stack: Stack | None, component: Component, parameters: Mapping[str, str]) -> Step:
    if stack is None:
        return Step.CREATE
    if stack.status in _FAILED:
        return Step.CLEAR
    if stack.status.endswith("_IN_PROGRESS"):
        return Step.WAIT
    if not stack.status.endswith("_COMPLETE"):
        return Step.STUCK
    same = stack.digest == component.digest() and stack.parameters == parameters
    return Step.LEAVE if same else Step.UPDATE


@dataclass(frozen=True)
class Built:
    value: str
    """What goes into the route."""
    how: str
    """made, updated or unchanged."""


def build(stacks: Stacks, component: Component, parameters: Mapping[str, str], *, pause: Callable[[], None]) -> Built:
    """
    Cut short anywhere, another call goes on from there.

    Args:
        pause: Called between two looks at a stack in progress; it may raise to give up.

    Raises:
        Refused: CloudFormation couldn't; the sentence has its reason. Nothing half made is left, but where it says so.
    """
    made: str | None = None
    done: set[Step] = set()
    while True:
        stack = stacks.find(component.stack)
        step = next_step(stack, component, parameters)
        if stack is not None and step is Step.LEAVE:
            how = "made" if made else "updated" if Step.UPDATE in done else "unchanged"
            return Built(stack.outputs[component.macro], how)
        if step is Step.WAIT:
            pause()
            continue
        if stack is not None and step is Step.STUCK:
            raise Refused(
                f"its stack is {stack.status}; run: aws cloudformation continue-update-rollback"
                f" --stack-name {component.stack}"
            )
        if made or step in done:
            # It came out otherwise than it was asked for.
            raise Refused(stacks.failure(made or (stack.id if stack else component.stack)))
        done.add(step)
        if step is Step.CREATE:
            made = stacks.create(component, parameters)
        elif step is Step.UPDATE:
            stacks.update(component, parameters)
        else:
            stacks.delete(component.stack)


def take_down(stacks: Stacks, component: Component, *, pause: Callable[[], None]) -> bool:
    """
    Returns:
        Whether there was anything to delete.

    Raises:
        Refused: CloudFormation couldn't; the sentence has its reason.
    """
    deleting: str | None = None
    while stack := stacks.find(component.stack):
        if stack.status == "DELETE_FAILED" and deleting:
            raise Refused(stacks.failure(stack.id))
        if deleting is None:
            deleting = stack.id
            stacks.delete(component.stack)
        else:
            pause()
    return deleting is not None
