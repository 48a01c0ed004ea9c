"""A step of the build: the wheel has what stands beside the package in the repository.

An editable install has it there, and gets no copy, which would go stale.
https://hatch.pypa.io/latest/plugins/build-hook/custom/
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SHIPPED = {"workflows": "comfyq/workflows", "template.yaml": "comfyq/template.yaml"}


class ShippedFiles(BuildHookInterface):
    """Add the workflows and the template of AWS to the package."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            build_data["force_include"] |= SHIPPED
