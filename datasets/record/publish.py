"""Writes recorded lines as a dataset: compressed, counted, hashed and added to the index."""

from __future__ import annotations

import hashlib
import json
import platform
import socket
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DATASETS = Path(__file__).resolve().parent.parent
OPTIONS = {int(zstd.CompressionParameter.compression_level): 19, int(zstd.CompressionParameter.checksum_flag): 1}


def write(path: Path, lines: list[str]) -> bytes:
    """Compress lines into a file and return them uncompressed; raise if they contain names of this machine."""
    text = "".join(f"{line}\n" for line in lines).encode()
    machine = [str(DATASETS.parent), str(Path.home()), sys.prefix, sys.base_prefix, tempfile.gettempdir()]
    for name in [*(name for name in machine if len(name) > 1), f'"{socket.gethostname()}"']:
        if name.encode() in text:
            raise ValueError(f"expected a recording without names of this machine, found {name!r} in {path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(zstd.compress(text, options=OPTIONS))
    return text


def file_entry(path: Path, role: str, form: str, *, compression: str | None = "zstd", **counts: int) -> dict[str, Any]:
    """Return the index entry of one file; ``span_count`` and ``trace_count`` only if it contains traces."""
    content = path.read_bytes()
    return {
        "path": path.relative_to(path.parent.parent).as_posix(),
        "role": role,
        "format": form,
        "compression": compression,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    } | counts


def made(command: str, seed: int, packages: list[str], recorded_at: str) -> dict[str, Any]:
    """Return how a dataset was made."""
    return {
        "command": command,
        "seed": seed,
        "recorded_at": recorded_at,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
    }


def enter(index: Path, entry: dict[str, Any]) -> None:
    """Add an entry to the index, or replace the one with the same name."""
    whole = json.loads(index.read_text(encoding="utf-8")) if index.exists() else {"version": 1}
    others = whole.get("datasets", [])
    entries = sorted(
        [one for one in others if one["name"] != entry["name"]] + [entry], key=lambda one: str(one["name"])
    )
    index.write_text(json.dumps(whole | {"datasets": entries}, indent=2) + "\n", encoding="utf-8")
