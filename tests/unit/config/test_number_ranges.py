"""Numbers of settings that have no meaning are refused, in words that say what is allowed."""

from itertools import product

import pytest

from comfyq.config import InvalidSettings, read_settings
from comfyq.config.reference import reference
from tests.cells import Cells

NUMBERS = [each for each in reference() if each.type in ("int", "float")]


def _refusal(name: str, value: str) -> str:
    """Return what is said of a setting's value; nothing if it is taken."""
    try:
        read_settings({name: value})
    except InvalidSettings as refused:
        return str(refused)
    return ""


def test_a_lease_that_would_lapse_before_it_is_renewed_is_refused() -> None:
    for given in ({"COMFYQ_RENEW_S": "500"}, {"COMFYQ_LEASE_S": "40"}):
        with pytest.raises(InvalidSettings) as refused:
            read_settings(given)
        assert all(name in str(refused.value) for name in ("COMFYQ_RENEW_S", "COMFYQ_LEASE_S"))
    assert read_settings({"COMFYQ_RENEW_S": "500", "COMFYQ_LEASE_S": "1500"})


def test_no_number_is_negative_or_endless() -> None:
    with Cells() as cells:
        for setting, value in product(NUMBERS, ("-1", "nan", "inf")):
            with cells.cell(f"{setting.name}={value}"):
                kind = "a whole number" if setting.type == "int" else "a number"
                said = _refusal(setting.name, value)
                assert said.startswith(f"{setting.name}: the value is not {kind}")


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("COMFYQ_RETENTION_S", "-1", "a whole number of at least 0"),
        ("COMFYQ_LINK_EXPIRES_S", "0", "a whole number of at least 1"),
        ("COMFYQ_DRAIN_S", "-0.1", "a number of at least 0"),
        ("COMFYQ_BEAT_S", "0", "a number over 0"),
        ("COMFYQ_WAIT_S", "21", "a number from 0 to 20"),
        ("COMFYQ_WATCH_S", "0", "a number over 0"),
        ("COMFYQ_STORE_PROGRESS_S", "-1", "a number of at least 0"),
        ("COMFYQ_LEASE_S", "43201", "a number over 0 and of at most 43200"),
    ],
)
def test_the_range_of_a_number_is_told(name: str, value: str, allowed: str) -> None:
    assert _refusal(name, value) == f"{name}: the value is not {allowed}"


def test_every_number_out_of_its_range_is_named() -> None:
    with pytest.raises(InvalidSettings) as raised:
        read_settings({"COMFYQ_LEASE_S": "0", "COMFYQ_RETRY_S": "-1"})
    named = [line.partition(":")[0] for line in str(raised.value).splitlines()]
    assert named == ["COMFYQ_LEASE_S", "COMFYQ_RETRY_S"]
