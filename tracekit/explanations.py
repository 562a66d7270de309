"""``tk.about``: what a term, check, column or issue code means."""

from __future__ import annotations

import html
import inspect
import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from tracekit.checks.patterns.occurrences import Pattern
from tracekit.checks.registry import CHECKS
from tracekit.glossary import GLOSSARY, NAMES
from tracekit.loading.building.catalogue import CATALOGUE
from tracekit.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.checks.registry import Check

_NUMBER: Final = re.compile(r"S\d+[^:]*: ")  # of the question in the list of checks
_UNIT: Final = re.compile(r"_(ns|ratio|count)$")
_INPUTS: Final = {
    "requests": "request counts (requests=)",
    "log": "a request log (log=)",
    "rules": "sampling rules (rules=)",
    "expected": "expected counts (expected=)",
    "received": "arrival times (received=)",
    "logs": "log lines (logs=)",
    "baseline": "a baseline",
    "weights": "known sampling weights",
    "prices": "prices (prices=)",
}


@dataclass(frozen=True)
class Explanation:
    """What something means.

    Parameters
    ----------
    name
        As reports and tables spell it.
    kind
        ``term``, ``check``, ``column`` or ``issue``.
    text
        A few sentences.
    call
        What computes or shows it; may be empty.
    """

    name: str
    kind: str
    text: str
    call: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.kind}): {self.text}" + f" See {self.call}." * bool(self.call)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        call = f" <code>{html.escape(self.call)}</code>" if self.call else ""
        return f"<p><b>{html.escape(self.name)}</b> ({self.kind}): {html.escape(self.text)}{call}</p>"


def about(name: str) -> Explanation:
    """Return what a term, a check, a column or an issue code means.

    Parameters
    ----------
    name
        A term such as ``"sampling bias"``, the name of a check (``"clock.offset"``, as in ``Finding.check``), a column
        (``"p95_ns"``, ``"orphan_count"``) or a code of ``traces.issues`` (``"DUP_IDENTICAL"``).

    Returns
    -------
    Explanation
        ``.text``, and ``.call`` that computes or shows it.

    Raises
    ------
    TypeError
        Not a text.
    ValueError
        There is no such name; the message lists similar ones.

    Examples
    --------
    >>> tk.about("sampling weight")
    sampling weight (term): How many requests a recorded trace represents: 1 / its probability of being kept. See traces.weights.
    >>> tk.about("orphan_count").kind, tk.about("clock.offset").kind, tk.about("FILE_EMPTY").kind
    ('column', 'check', 'issue')
    """  # noqa: E501 - the output of a doctest
    if not isinstance(name, str):
        raise TypeError(f"expected a name for tk.about, such as 'sampling bias', found {type(name).__name__}")
    wanted = " ".join(name.split())
    for find in (_check, _issue, _column, _term):
        if (found := find(wanted)) is not None:
            return found
    near = get_close_matches(wanted.casefold(), sorted(_all_names()), 5, 0.5) or sorted(GLOSSARY)[:5]
    raise ValueError(f"expected a term, check, column or issue code, found {name!r}; similar: {', '.join(near)}")


def _term(name: str) -> Explanation | None:
    """Return a term of the glossary."""
    spelled = name.casefold()
    tried = (spelled, spelled.replace("_", " "), _UNIT.sub("", spelled).replace("_", " "))
    known = next((NAMES[one] for one in tried if one in NAMES), None)
    if known is None:
        return None
    return Explanation(known, "term", f"{GLOSSARY[known].meaning}.", GLOSSARY[known].call)


def _check(name: str) -> Explanation | None:
    """Return what a check examines, what it needs, how it decides, and what to do."""
    check = next((one for one in CHECKS if one.name == name), None)
    if check is None:
        return None
    pattern = getattr(check.run, "__self__", None)
    parts = [_examined(check)]
    if isinstance(pattern, Pattern):
        parts += [pattern.method, pattern.remedy]
    else:
        said = inspect.cleandoc(check.run.__doc__ or "").partition("\n\n")[0]
        parts.append(" ".join(said.split()).replace("Return ", "Reports ", 1))
    if check.needs:
        parts.append(f"Needs {', '.join(_INPUTS.get(one, one) for one in check.needs)}.")
    if check.weakens:
        parts.append("If it fails, other conclusions from these traces are weaker.")
    return Explanation(name, "check", " ".join(parts), _call(check))


def _examined(check: Check) -> str:
    """Return the first paragraph of the documentation of a check's module, as a sentence."""
    pattern = getattr(check.run, "__self__", None)
    function: Callable[..., object] = pattern.detect if isinstance(pattern, Pattern) else check.run
    words = inspect.cleandoc(inspect.getmodule(function).__doc__ or "").partition("\n\n")[0]
    words = _NUMBER.sub("", " ".join(words.replace("``", "").split()), count=1)
    return words[:1].upper() + words[1:]


def _call(check: Check) -> str:
    """Return the call that runs the check, alone where that is possible."""
    if check.topic == "sampling":
        return "tk.sampling(traces)"
    if check.topic in {"quality", "patterns"}:
        return f'tk.{check.topic}(traces, checks=["{check.name}"])'
    return "tk.investigate(traces).findings"


def _issue(name: str) -> Explanation | None:
    """Return what an issue code means."""
    code = CATALOGUE.get(name.upper())
    if code is None:
        return None
    remedy = f" To fix: {code.remedy}." * bool(code.remedy)
    text = f"{code.meaning[:1].upper()}{code.meaning[1:]} ({code.severity}).{remedy}"
    return Explanation(name.upper(), "issue", text, f'traces.issues.query("code == {name.upper()!r}")')


def _column(name: str) -> Explanation | None:
    """Return what a column of the tables of a TraceSet means."""
    found = [(table, column) for table, columns in TABLES.items() for column in columns if column.name == name]
    if not found:
        return None
    meanings = dict.fromkeys(column.meaning for _, column in found)
    tables = ", ".join(dict.fromkeys(f"traces.{table}" for table, _ in found))
    return Explanation(name, "column", "; ".join(meanings) + ".", tables)


def _all_names() -> set[str]:
    """Return all names that ``about`` knows, in lower case."""
    columns = [column.name for table in TABLES.values() for column in table]
    return {*NAMES, *(check.name for check in CHECKS), *columns, *(code.lower() for code in CATALOGUE)}
