"""Expands a SAM template to the CloudFormation that AWS would make of it, offline.

usage: transform.py OUTPUT_FOLDER TEMPLATE...        writes NAME.json for each NAME.yaml

Runs in the environment of ``infra/requirements.lock``.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from samtranslator.parser.parser import Parser  # type: ignore[import-not-found]
from samtranslator.translator.translator import Translator  # type: ignore[import-not-found]
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-not-found]

REGION = "us-east-1"
IMAGE = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/comfyq:1"  # as ``sam package`` puts in
FUNCTION = "AWS::Serverless::Function"


class Session:
    """All that the translator asks of a boto3 session."""

    region_name = REGION


def expand(text: str) -> dict[str, Any]:
    """Raises InvalidDocumentException where SAM refuses the template."""
    template = yaml_parse(text)
    for resource in template["Resources"].values():
        if resource["Type"] == FUNCTION:
            resource["Properties"].setdefault("ImageUri", IMAGE)
    # No managed policy goes by its bare name here, so none has to be looked up.
    translator = Translator({}, Parser(), boto_session=Session())
    expanded: dict[str, Any] = translator.translate(template, {})
    return expanded


def main(folder: Path, templates: list[Path]) -> int:
    """A template that SAM refuses becomes NAME.refused with what it says."""
    refused = 0
    for path in templates:
        try:
            expanded = expand(path.read_text(encoding="utf-8"))
        except Exception as error:  # the translator has errors of many kinds
            (folder / f"{path.stem}.refused").write_text(f"{type(error).__name__}: {error}\n")
            print(f"{path}: {error}", file=sys.stderr)
            refused += 1
        else:
            (folder / f"{path.stem}.json").write_text(json.dumps(expanded, indent=1))
    return min(refused, 1)


if __name__ == "__main__":
    os.environ.setdefault("AWS_DEFAULT_REGION", REGION)  # noqa: TID251 - read by the translator
    sys.exit(main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]))
