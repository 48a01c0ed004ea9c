"""Deciding a template's conditions."""

from typing import Any

import pytest

from infra.deployment.conditions import decided

TEMPLATE: dict[str, Any] = {
    "Parameters": {"Mode": {"Default": "external"}, "Nodes": {"Default": 0}, "Url": {}},
    "Rules": {"Any": {}},
    "Conditions": {
        "Pool": {"Fn::Equals": [{"Ref": "Mode"}, "ecs"]},
        "Cold": {"Fn::Equals": [{"Ref": "Nodes"}, "0"]},
        "Outside": {"Fn::Not": [{"Condition": "Pool"}]},
        "Warm": {"Fn::And": [{"Condition": "Pool"}, {"Fn::Not": [{"Condition": "Cold"}]}]},
        "Any": {"Fn::Or": [{"Condition": "Pool"}, {"Condition": "Outside"}]},
    },
    "Resources": {
        "Cluster": {"Type": "C", "Condition": "Pool"},
        "Box": {"Type": "B", "Condition": "Outside", "Properties": {"Any": 1}},
        "Node": {"Type": "N", "Condition": "Warm"},
        "Function": {
            "Type": "F",
            "Properties": {
                "Scale": {"Fn::If": ["Pool", {"Ref": "Cluster"}, "none"]},
                "Gone": {"Fn::If": ["Warm", "here", {"Ref": "AWS::NoValue"}]},
                "List": ["a", {"Fn::If": ["Any", "b", {"Ref": "Node"}]}],
                "Left": [{"Fn::If": ["Pool", "c", {"Ref": "AWS::NoValue"}]}],
            },
        },
    },
    "Outputs": {"Name": {"Condition": "Pool", "Value": {"Ref": "Cluster"}}, "Box": {"Value": 1}},
}


def test_what_no_condition_holds_for_is_not_there() -> None:
    told = decided(TEMPLATE)
    assert set(told) == {"Parameters", "Resources", "Outputs"}
    assert told["Outputs"] == {"Box": {"Value": 1}}
    assert told["Resources"] == {
        "Box": {"Type": "B", "Properties": {"Any": 1}},
        "Function": {
            "Type": "F",
            "Properties": {"Scale": "none", "List": ["a", "b"], "Left": []},
        },
    }


def test_a_condition_that_is_none_is_a_fault() -> None:
    wrong = {"Conditions": {"A": {"Fn::Sub": "x"}}, "Resources": {"R": {"Condition": "A"}}}
    with pytest.raises(ValueError, match="unknown kind"):
        decided(wrong)
