"""The findings that a report begins with, without the report."""

from tracekit.checks.case import Case
from tracekit.checks.registry import run_checks


def findings_of(traces, baseline=None):
    """All findings of the first screen."""
    case = Case(traces, baseline=None if baseline is None else Case(baseline))
    return run_checks(case, ["data", "changes", "patterns", "latency", "errors"])


def changes_of(before, now):
    """Those that say what changed."""
    return run_checks(Case(now, baseline=Case(before)), ["changes"])
