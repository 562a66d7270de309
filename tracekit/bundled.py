"""Folders of the bundled datasets and notebooks: inside the wheel, or next to the package in a source tree."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_ROOTS = (_PACKAGE / "_bundled", _PACKAGE.parent)

DATASETS = tuple(root / "datasets" for root in _ROOTS)
NOTEBOOKS = tuple(root / "notebooks" for root in _ROOTS)
