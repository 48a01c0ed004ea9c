"""Types of links, in ours and in the simulator, which mirrors ComfyUI."""

from typing import Any

import pytest

from comfyq.domain.graph.type_matching import types_match
from comfyui_simulator.validation.inspection import types_match as as_simulated

MATCH = "COMFY_MATCHTYPE_V3"


@pytest.mark.parametrize(
    ("received", "wanted", "fits"),
    [
        ("IMAGE", "IMAGE", True),
        ("IMAGE", "MASK", False),
        ("IMAGE", "MASK, IMAGE", True),
        ("FLOAT,INT", "INT,BOOLEAN", True),
        ("*", "IMAGE", True),
        ("*", ["euler", "ddim"], True),
        ("STRING,*", "IMAGE", True),
        ("IMAGE", "*", True),
        (["euler", "ddim"], "*", True),
        (MATCH, "IMAGE", True),
        ("IMAGE", MATCH, True),
        (MATCH, ["euler"], True),
        (["euler"], MATCH, True),
        (["euler"], "COMBO", True),
        ("COMBO", "COMBO", True),
        ("COMBO", ["euler"], False),
        ("STRING", "COMBO", False),
        (["euler"], ["euler"], True),
        (["euler"], ["ddim"], False),
        (["euler"], "STRING", False),
        ("COMFY_AUTOGROW_V3", "IMAGE", False),
    ],
)
def test_an_output_fits_where_comfyui_lets_it(received: Any, wanted: Any, fits: bool) -> None:
    assert types_match(received, wanted) is fits
    assert as_simulated(received, wanted) is fits
