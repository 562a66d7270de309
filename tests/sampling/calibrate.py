"""Print the calibration tables: ``python tests/sampling/calibrate.py`` (2,000 replications), or names and --repeats."""

import argparse
import sys
import time
from pathlib import Path


def main():
    """Return 1 where a row lies outside its limits."""
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
    from sampling.tables import TABLES, rows  # noqa: PLC0415 - found by the line above

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
