"""Print the calibration tables: ``python tests/quality/calibrate.py`` (2,000 replications), or names and --repeats."""

import argparse
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from quality.tables import TABLES, rows  # noqa: E402 - found by the line above


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"all unless given: {', '.join(TABLES)}")
    parser.add_argument("--repeats", type=int, default=2000)
    asked = parser.parse_args()
    wrong = 0
    for name in asked.names or TABLES:
        begun = time.perf_counter()
        sys.stdout.write(f"\n{name}: {TABLES[name].make.__doc__}\n")
        for row in rows(name, asked.repeats):
            wrong += not row.is_right
            sys.stdout.write(f"  {row}{'' if row.is_right else '   <-- outside'}\n")
            sys.stdout.flush()
        sys.stdout.write(f"  [{time.perf_counter() - begun:.0f} s, {asked.repeats} replications]\n")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
