"""Deploy template.yaml to a look-alike of AWS: what ``comfyq infra up`` runs.

usage: python -m infra.deployment [--endpoint-url URL] [--stack NAME] [--state-only] [--json]
"""

import argparse
import json
import sys
from dataclasses import asdict

from comfyq.config import PROJECT, InvalidSettings, read_settings
from infra.deployment.look_alike import Infra, deploy_to_look_alike
from infra.deployment.stack import CannotDeploy

WRONG_USAGE = 2


def main() -> int:
    given = _parser().parse_args()
    try:
        made = deploy_to_look_alike(
            read_settings(AWS_ENDPOINT_URL=given.endpoint_url),
            stack=given.stack,
            tools=PROJECT / ".infra",
            state_only=given.state_only,
        )
    except (CannotDeploy, InvalidSettings) as refused:
        print(refused, file=sys.stderr)
        return WRONG_USAGE
    if given.json:
        print(json.dumps(_plain(made)))
    else:
        _print(made)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.deployment")
    parser.add_argument("--endpoint-url")
    parser.add_argument("--stack", default="comfyq")
    parser.add_argument("--state-only", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser


def _plain(made: Infra) -> dict[str, object]:
    return {
        "changed": made.deployed.changed,
        "made": {name: asdict(each) for name, each in made.deployed.made.items()},
        "left_out": dict(made.deployed.left_out),
        "mended": list(made.mended),
        "without_stack": made.without_stack,
        "exports": dict(made.exports),
    }


def _print(made: Infra) -> None:
    deployed = made.deployed
    for name, each in sorted(deployed.made.items()):
        print(f"  {name:34} {each.type:34} {each.physical_id}")
    for name, reason in sorted(deployed.left_out.items()):
        print(f"  {name:34} LEFT OUT: {reason}")
    for step in made.mended:
        print(f"  {step}: done by the service's own call")
    if made.without_stack is not None:
        print(f"only table, queues and bucket: {made.without_stack}")
    else:
        state = "made" if deployed.changed else "unchanged"
        print(f"{state}: {len(deployed.made)} resources, {len(deployed.left_out)} left out")
    for name, value in made.exports.items():
        print(f"export {name}='{value}'")


if __name__ == "__main__":
    sys.exit(main())
