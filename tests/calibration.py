"""Tables of how often something came true in simulated worlds, and how often it should: the frame, and its command.

``python tests/calibration.py`` prints all of them with 2,000 replications; names and ``--repeats`` choose.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import binom

SURE = 5e-4  # chance that a row of a calibrated table misses its limits on one side
FULL = 2000


class Row(NamedTuple):
    """How often something came true in so many replications; it should between ``least`` and ``most``."""

    case: str
    hits: int
    of: int
    least: float
    most: float
    note: str = ""

    @property
    def is_right(self) -> bool:
        """Whether chance explains the count for some share between the limits."""
        return bool(binom.ppf(SURE, self.of, self.least) <= self.hits <= binom.ppf(1 - SURE, self.of, self.most))

    def __str__(self) -> str:
        share = 100 * self.hits / max(self.of, 1)
        wanted = f"{100 * self.least:g}-{100 * self.most:g}"
        return f"{self.case:<58s} {share:6.1f} %  of {self.of:<5d} wanted {wanted:<10s} {self.note}"


class Table(NamedTuple):
    """A table, its seed and how often it is replicated with every commit."""

    make: Callable
    seed: int
    quick: int

    def rows(self, repeats=None):
        """The rows, with the table's own seed."""
        return self.make(np.random.default_rng(self.seed), repeats or self.quick)


def count(hits):
    """How many of how many came true."""
    return int(np.sum(hits)), len(hits)


def all_tables():
    """Every table by name: of sampling, of quality, of the analyses and of the report."""
    from analysis import change_point_tables as change_points  # noqa: PLC0415 - the tables stand on this frame
    from analysis import comparison_tables as comparisons  # noqa: PLC0415 - the tables stand on this frame
    from analysis import tables as analysis  # noqa: PLC0415 - the tables stand on this frame
    from analysis.bounds import tables as bounds  # noqa: PLC0415 - the tables stand on this frame
    from analysis.suspects import tables as suspects  # noqa: PLC0415 - the tables stand on this frame
    from checks import tables as report  # noqa: PLC0415 - the tables stand on this frame
    from checks.logs import tables as logs  # noqa: PLC0415 - the tables stand on this frame
    from checks.patterns import tables as patterns  # noqa: PLC0415 - the tables stand on this frame
    from checks.quality import tables as quality  # noqa: PLC0415 - the tables stand on this frame
    from checks.sampling import tables as sampling  # noqa: PLC0415 - the tables stand on this frame
    from investigation import tables as investigations  # noqa: PLC0415 - the tables stand on this frame
    from stats import tables as public  # noqa: PLC0415 - the tables stand on this frame

    modules = (
        sampling,
        quality,
        patterns,
        analysis,
        change_points,
        comparisons,
        bounds,
        suspects,
        public,
        report,
        logs,
        investigations,
    )
    return {table.make.__name__: table for module in modules for table in module.TABLES}


def main():
    """Print tables; 1 where a row lies outside its limits."""
    tables = all_tables()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"all unless given: {', '.join(tables)}")
    parser.add_argument("--repeats", type=int, default=FULL)
    asked = parser.parse_args()
    if strange := sorted(set(asked.names) - set(tables)):
        parser.error(f"expected names among {', '.join(tables)}, found {', '.join(strange)}")
    wrong = 0
    for name in asked.names or tables:
        begun = time.process_time()
        sys.stdout.write(f"\n{name}: {tables[name].make.__doc__}\n")
        for row in tables[name].rows(asked.repeats):
            wrong += not row.is_right
            sys.stdout.write(f"  {row}{'' if row.is_right else '   <-- outside'}\n")
            sys.stdout.flush()
        sys.stdout.write(f"  [{time.process_time() - begun:.0f} s of CPU, {asked.repeats} replications]\n")
    return int(wrong > 0)


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    sys.path[:0] = [str(here), str(here.parent)]
    sys.modules["calibration"] = sys.modules["__main__"]  # the tables import this module by its name
    sys.exit(main())
