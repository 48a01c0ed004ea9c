"""Marks that several rows share."""

import pytest

_BOTH = ["simulator", pytest.param("real", marks=pytest.mark.comfyui)]

also_real = pytest.mark.parametrize("comfy", _BOTH, indirect=True)
"""The row holds of the real ComfyUI too, which it leaves as it was."""

also_mortal = pytest.mark.parametrize("mortal", _BOTH, indirect=True)
"""The same for rows that kill or break their ComfyUI."""

also_real_slow = pytest.mark.parametrize("slow_comfy", _BOTH, indirect=True)
"""The same with steps that take a while."""
