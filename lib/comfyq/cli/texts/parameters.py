"""What is wrong with the value of an option, in words of our own: Typer shows those of pydantic."""

import re
from collections.abc import Mapping
from typing import Any

import typer

from comfyq.domain.suggestions import nearest

CHOICE = re.compile(
    r"(?:Value error, )?'(?P<given>.*?)' is not one of (?P<names>'.*')\.?", re.DOTALL
)
NAME = re.compile(r"'(.*?)'")
FORMS: Mapping[str, str] = {
    "int_parsing": "{given!r} is no whole number",
    "int_from_float": "{given!r} is no whole number",
    "float_parsing": "{given!r} is no number",
    "bool_parsing": "{given!r} is neither true nor false",
    "greater_than_equal": "is {given}; the least is {ge:g}",
    "less_than_equal": "is {given}; the most is {le:g}",
}
SUBJECT = "Input should "


def in_words(wrong: typer.BadParameter) -> str:
    """Return the message of a value that is refused, with the name that may have been meant."""
    fault = _fault(wrong.__cause__)
    if (form := FORMS.get(str(fault.get("type")))) is not None:
        return form.format(given=fault["input"], **fault.get("ctx", {}))
    if choice := CHOICE.fullmatch(wrong.message):
        names = NAME.findall(choice["names"])
        meant = nearest(choice["given"], names)
        guess = f"did you mean {meant!r}? " if meant else ""
        return f"cannot be {choice['given']!r}; {guess}it is one of {', '.join(names)}"
    text = wrong.message.removeprefix("Value error, ")
    return f"must {text.removeprefix(SUBJECT)}" if text.startswith(SUBJECT) else text


def _fault(cause: BaseException | None) -> Mapping[str, Any]:
    """Return pydantic's innermost error: that of a list has that of its item in it."""
    from pydantic import ValidationError  # who raised it has imported it

    fault: Mapping[str, Any] = {}
    while isinstance(cause, ValidationError):
        fault = cause.errors(include_url=False)[0]
        cause = fault.get("ctx", {}).get("error")
    return fault
