"""What is read does not depend on the process: hash seeds differ, the codes of names and attributes do not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

DATASETS = Path(__file__).parents[2] / "datasets"
CODES = """
import hashlib, sys
from tracekit import read

for path in sys.argv[1:]:
    columns = read(path).columns
    pools = columns.kv.keys, columns.names, columns.texts, columns.attributes.offsets.tolist()
    print(path, hashlib.sha256(repr(pools).encode()).hexdigest())
"""


def codes(paths, lane, seed):
    """What a process of its own prints about the codes of files."""
    environment = os.environ | {"PYTHONHASHSEED": str(seed), "TRACEKIT_LANE": lane}
    command = [sys.executable, "-c", CODES, *map(str, paths)]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("lane", ["compiled", "python"])
def test_codes_do_not_depend_on_the_process(lane):
    paths = sorted(DATASETS.glob("*/*.jsonl.zst"))
    found = codes(paths, lane, 1)
    assert len(found.splitlines()) == len(paths) > 5
    assert codes(paths, lane, 2) == found
