"""Stands in for torchvision, which is not installed."""

import _missing_package

_missing_package.install(__name__)
