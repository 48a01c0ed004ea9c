"""Large JSON objects are read piece by piece, as by Python's own reader."""

import json

import pytest

from comfyq.domain.graph.json_entries import read_entries


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        " { } \n",
        '{"a": 1}',
        '{"a":[1, {"b": null}], "c" : "}{,:\\"", "a": 2.5}',
        '\t{ "ä\\u00e9" : {} ,\r\n "" : [ ] }',
        '{"a": NaN}',
    ],
)
def test_it_reads_what_json_loads_reads(text: str) -> None:
    assert repr(read_entries(text)) == repr(json.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "1", "{", '{"a"}', '{"a": 1', '{"a": 1,}', '{"a": 1 "b": 2}'),
        *('{,"a": 1}', '{1: "a"}', '{"a":}', '{"a": 1} {}', '{"a": x}'),
    ],
)
def test_it_refuses_what_is_no_object(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_entries(text)
