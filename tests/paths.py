"""Folders that tests read."""

from pathlib import Path

TESTS = Path(__file__).parent
DATA = TESTS / "data"
ROOT = TESTS.parent
WORKFLOWS = ROOT / "workflows"
