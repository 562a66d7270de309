"""Where the bundled recordings and notebooks are: inside the wheel, or beside the package in a source tree."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_HOMES = (_PACKAGE / "_bundled", _PACKAGE.parent)

DATASETS = tuple(home / "datasets" for home in _HOMES)
NOTEBOOKS = tuple(home / "notebooks" for home in _HOMES)
