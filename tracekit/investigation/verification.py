"""Claims and numbers of two ledgers compared: what was stated, and what was found again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tracekit.findings import Shown
from tracekit.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pandas as pd

COLUMNS: Final = ("kind", "name", "status", "stated", "found")
VERIFIED: Final = "verified"
NOT_COMPARED: Final = "not compared"
NOT_RECOMPUTED: Final = "not recomputed"
_GOALS: Final = {"slo": "figure.objective", "prices": "figure.cost"}  # the one claim that an input is behind
_CLOSE: Final = 1e-9  # between machines, of numbers that are summed in another order


@dataclass(frozen=True, repr=False)
class Verification(Shown):
    """A report compared with its sources.

    Parameters
    ----------
    table
        One row per set of traces, input and claim, and one per line of text that differs: ``kind`` (``file``,
        ``traces``, ``input``, ``claim``, ``value``, ``text``, ``markup``), ``name`` (of a line its section),
        ``status`` (``verified``; ``different``; ``missing``: the sources do not give this claim or line; ``not
        stated``: the sources give a claim that the report lacks; ``not shown``: the page lacks a line; ``not
        compared``: its text cannot be rendered again; ``not recomputed``: a claim that is not found without an input
        that is not there), ``stated`` and ``found``.
    written_by, verified_by
        Version of tracekit that wrote the report, and this one; with another version claims may be worded differently.
    unchecked
        What the page shows that does not follow from the sources: ``title``, if the writer chose one.
    """

    table: pd.DataFrame
    written_by: str
    verified_by: str
    unchecked: tuple[str, ...] = ()

    @property
    def is_verified(self) -> bool:
        """Whether the traces are the same, and every claim and line of text follows from them as stated."""
        return bool((self.table["status"] == VERIFIED).all())

    @property
    def differences(self) -> pd.DataFrame:
        """The rows that are not verified."""
        return self.table[self.table["status"] != VERIFIED].reset_index(drop=True)

    def __repr__(self) -> str:
        claims = self.table["kind"] == "claim"
        skipped = self.table["status"] == NOT_COMPARED
        bad = len(self.differences) - int(skipped.sum())
        said = "verified" if self.is_verified else f"NOT verified, {plural(bad, 'difference')}"
        if unknown := int((self.table["status"] == NOT_RECOMPUTED).sum()):
            said += f", {unknown:,} of them not recomputed for want of an input"
        said += "".join(f", text not compared: {why}" for why in self.table.loc[skipped, "stated"])
        versions = (
            ""
            if self.written_by == self.verified_by
            else f" (written by {self.written_by}, this is {self.verified_by})"
        )
        own = f", not the {' and '.join(self.unchecked)} of its writer" * bool(self.unchecked)
        return f"Verification({said}: {plural(int(claims.sum()), 'claim')}{own}){versions}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        """Return the line, and the differences as a table."""
        del include, exclude
        shown = self.differences if len(self.differences) else self.table
        return {"text/plain": repr(self), "text/html": f"<p>{self!r}</p>{shown.to_html(escape=True)}"}


def differences(stated: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each set of traces, input and claim of two ledgers, and for each value that differs."""
    yield from _sets(stated, found)
    one, other = (ledger.get("input_checksums", {}) for ledger in (stated, found))
    yield from (_row("input", f"{name} checksum", one[name], other.get(name)) for name in one)
    yield from _claims(stated, found)


def without(rows: Iterable[tuple[str, ...]], lacking: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield rows of differences; of claims that an input is lacking for, the names of these inputs.

    Objective and prices are the inputs of one figure each; other inputs may be behind any claim that is not found.
    """
    own = {_GOALS[name] for name in lacking if name in _GOALS}
    is_any = any(name not in _GOALS for name in lacking)
    needs = f"needs {' and '.join(f'{name}=' for name in lacking)}"
    for row in rows:
        kind, name, status, stated, _ = row
        is_claim = kind in {"claim", "value"} and status not in {VERIFIED, "not stated"}
        is_of_goal = name.partition(" ")[0].rpartition("-")[0] in own
        is_input = kind == "input" and name.partition(" ")[0] in lacking
        is_unknown = is_input or (is_claim and (is_any or is_of_goal))
        yield (kind, name, NOT_RECOMPUTED, stated, needs) if is_unknown else row


def _sets(stated: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each set of traces and number."""
    for name in dict.fromkeys((*stated["sets"], *found["sets"])):
        one, other = stated["sets"].get(name, {}), found["sets"].get(name, {})
        for key in ("checksum", "trace_count", "span_count"):
            yield _row("traces", f"{name} {key}", one.get(key), other.get(key))


def _claims(stated: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each claim, and for each of its values that differs."""
    one, other = ({claim["id"]: claim for claim in ledger["claims"]} for ledger in (stated, found))
    for name in dict.fromkeys((*one, *other)):
        mine, theirs = one.get(name), other.get(name)
        if mine is None or theirs is None:
            status = "missing" if theirs is None else "not stated"
            yield "claim", name, status, "" if mine is None else mine["text"], "" if theirs is None else theirs["text"]
            continue
        words = [f"{claim['severity']}: {claim['text']}" for claim in (mine, theirs)]
        yield _row("claim", name, *words)
        for key in dict.fromkeys((*mine["values"], *theirs["values"])):
            values = mine["values"].get(key), theirs["values"].get(key)
            if not _agree(*values):
                yield _row("value", f"{name} {key}", *values)


def _row(kind: str, name: str, stated: Any, found: Any) -> tuple[str, ...]:
    """Return a row that says whether two values agree."""
    return kind, name, VERIFIED if _agree(stated, found) else "different", str(stated), str(found)


def _agree(one: Any, other: Any) -> bool:
    """Return whether two JSON values are the same, numbers up to rounding."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_agree(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_agree, one, other))
    if isinstance(one, float) or isinstance(other, float):
        is_number = all(isinstance(value, int | float) for value in (one, other))
        return is_number and math.isclose(one, other, rel_tol=_CLOSE, abs_tol=0.0)
    return bool(one == other)
