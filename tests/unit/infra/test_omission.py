"""Leaving resources out of a template."""

from typing import Any

from infra.deployment.omission import disposable, note_of, noted, without

TEMPLATE: dict[str, Any] = {
    "Metadata": {"kept": True},
    "Resources": {
        "Api": {"Type": "A", "Properties": {}},
        "Function": {"Type": "F", "Properties": {"Env": {"Fn::Sub": "https://${Api}.host"}}},
        "Alarm": {"Type": "W", "Properties": {"Of": {"Fn::GetAtt": ["Function", "Arn"]}}},
        "Service": {"Type": "S", "DependsOn": "Alarm", "Properties": {}},
        "Table": {
            "Type": "T",
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {"DeletionProtectionEnabled": True, "Keys": 2},
        },
    },
    "Outputs": {"Url": {"Value": {"Ref": "Api"}}, "Name": {"Value": {"Ref": "Table"}}},
}


def test_what_needs_something_that_is_left_out_is_left_out_with_it() -> None:
    rest, left_out = without(TEMPLATE, {"Api": "is not supported"})
    assert set(rest["Resources"]) == {"Table"}
    assert set(rest["Outputs"]) == {"Name"}
    assert left_out == {
        "Api": "is not supported",
        "Function": "needs Api",
        "Alarm": "needs Function",
        "Service": "needs Alarm",
    }


def test_nothing_is_left_out_without_a_reason() -> None:
    rest, left_out = without(TEMPLATE, {})
    assert (rest["Resources"], left_out) == (TEMPLATE["Resources"], {})


def test_a_note_is_read_again() -> None:
    reasons = {"Api": "is not supported"}
    assert note_of(noted(TEMPLATE, reasons)) == reasons
    assert noted(TEMPLATE, reasons)["Metadata"]["kept"]
    assert note_of(TEMPLATE) == {}


def test_what_is_disposable_goes_with_its_stack() -> None:
    table = disposable(TEMPLATE)["Resources"]["Table"]
    assert table == {"Type": "T", "Properties": {"DeletionProtectionEnabled": False, "Keys": 2}}
    assert TEMPLATE["Resources"]["Table"]["DeletionPolicy"] == "Retain"
