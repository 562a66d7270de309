"""Stores with a table that was changed, and whose marker agrees with it."""

import json
import pickle

import pyarrow.parquet as pq
from isal import isal_zlib

from tracekit.loading import read
from tracekit.loading.paths import STORE_MARKER


def use_all(path):
    """Read a store and use every column."""
    return pickle.dumps(read(path).columns)


def rewritten(path, name, change):
    """Change a table of a store, and its marker so that length and checksum agree."""
    file = path / name
    table = change(pq.read_table(file))
    pq.write_table(table, file)
    marker = json.loads((path / STORE_MARKER).read_text())
    files_ = marker["files"] if "/" not in name else marker["parts"][0]["files"]
    data = file.read_bytes()
    mark = {"rows": table.num_rows, "bytes": len(data), "crc32": isal_zlib.crc32(data)}
    files_[file.stem] = mark
    (path / STORE_MARKER).write_text(json.dumps(marker))
