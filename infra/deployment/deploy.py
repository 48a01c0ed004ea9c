"""Deploys as much of a template as an endpoint can make, and tells what it cannot.

A look-alike of CloudFormation lacks types and properties, and says so only when it is asked to make
them. So a new stack is rehearsed first under another name: what fails is left out, with whatever
needs it, until the rest is made. What was left out is noted in the stack's own template, so that
the next deployment begins with the same and changes nothing.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from itertools import count

from infra.deployment.omission import (
    Content,
    Reasons,
    disposable,
    note_of,
    noted,
    without,
)
from infra.deployment.stack import SUCCEEDED, CannotDeploy, Made, Stack

UNFINISHED = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")  # can only be deleted


class Lacking(CannotDeploy):
    """The endpoint's CloudFormation cannot make what is needed."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """The resources that exist now."""

    changed: bool  # by this deployment
    made: Mapping[str, Made] = field(default_factory=dict)  # by logical id
    left_out: Reasons = field(default_factory=dict)


def deploy(
    template: Content,
    stack: Stack,
    rehearsal: Callable[[int], Stack],
    *,
    needed: Collection[str] = (),
) -> Deployed:
    """Make or update ``stack``; each ``rehearsal``, a stack by its number, is there only meanwhile.

    Raises:
        Lacking: it cannot make what is ``needed``; nothing is left of the attempt.
        CannotDeploy: the endpoint refuses the template, or fails at the second time.
    """
    status = stack.status()
    if status in UNFINISHED:
        stack.delete()
        status = None
    if status is None:
        rest, left_out = _rehearsed(template, rehearsal, needed)
        failed = stack.create(noted(rest, left_out))
        return _deployed(stack, failed, left_out)
    current = stack.template()
    rest, left_out = without(template, note_of(current))
    wanted = noted(rest, left_out)
    if status in SUCCEEDED and current == wanted:
        return Deployed(changed=False, made=stack.resources(), left_out=left_out)
    return _deployed(stack, stack.update(wanted), left_out)


def _rehearsed(
    template: Content, rehearsal: Callable[[int], Stack], needed: Collection[str]
) -> tuple[Content, Reasons]:
    """Each under another name: what a deletion leaves is in nobody's way."""
    rest, left_out = without(template, {})
    for number in count(1):
        stack = rehearsal(number)
        if stack.status() is not None:
            stack.delete()  # it was broken off
        failed = stack.create(disposable(rest))
        completed = stack.status() in SUCCEEDED
        stack.delete()
        if completed:
            break
        if not failed.keys() & rest["Resources"].keys():
            raise CannotDeploy("the endpoint fails to make the stack and does not say at what")
        rest, left_out = without(template, {**left_out, **failed})
        _check(left_out, needed)
    return rest, left_out


def _check(left_out: Reasons, needed: Collection[str]) -> None:
    missing = [f"{name}: {left_out[name]}" for name in needed if name in left_out]
    if missing:
        raise Lacking(f"its CloudFormation cannot make what jobs need: {'; '.join(missing)}")


def _deployed(stack: Stack, failed: Reasons, left_out: Reasons) -> Deployed:
    if failed or stack.status() not in SUCCEEDED:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise CannotDeploy(
            f"stack {stack.name} is {stack.status()}: {reasons or 'no reason given'}"
        )
    return Deployed(changed=True, made=stack.resources(), left_out=left_out)
