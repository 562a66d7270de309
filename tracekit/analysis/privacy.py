"""Personal data and secrets in traces: what, where, how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracekit.analysis.partials import over_parts
from tracekit.analysis.privacy_matches import Matches, MatchesOf, matches_in
from tracekit.arguments import check_traces, is_store
from tracekit.findings import Shown
from tracekit.readable_tables import as_html
from tracekit.redaction import STANDARD
from tracekit.redaction.policy import policy_of
from tracekit.redaction.tables import Known, known_in
from tracekit.text import plural

if TYPE_CHECKING:
    from typing import Any

    import pandas as pd

    from tracekit.parts import On, Parts
    from tracekit.redaction.policy import Policy
    from tracekit.traces import TraceSet

_SHOWN = 20  # rows of the table in a notebook


@dataclass(frozen=True, repr=False)
class Privacy(Shown):
    """Personal data and secrets in a set of traces.

    Parameters
    ----------
    table
        One row per kind, place and key, secrets first: ``kind``; ``where`` (attribute, event attribute, link attribute,
        resource attribute, scope attribute, span name, event name, status message, ...); ``key`` (attribute key, else
        empty); ``value_count`` (distinct values); ``use_count`` (attributes, names and so on with them; of resources
        and scopes the spans); ``is_secret``; ``action`` (what a redacted copy does with it); ``example`` (masked).
    by_kind
        The same by kind.
    scanned_count
        Number of distinct texts that were searched.

    Examples
    --------
    >>> tk.privacy(shop)
    Privacy(nothing found in 46 distinct texts)
    """

    table: pd.DataFrame
    by_kind: pd.DataFrame
    scanned_count: int

    def __repr__(self) -> str:
        """Return what was found, in one line."""
        of = f"in {plural(self.scanned_count, 'distinct text')}"
        if not len(self.table):
            return f"Privacy(nothing found {of})"
        return (
            f"Privacy({', '.join(f'{kind} {n:,}' for kind, n in self.by_kind.iloc[:, :2].to_numpy().tolist())}; {of})"
        )

    def _repr_html_(self) -> str:
        return f"<p>{self!r}</p>{as_html(self.table.head(_SHOWN))}"


def privacy(
    traces: TraceSet | Parts,
    *,
    policy: Policy | str | Any = STANDARD,
    logs: pd.DataFrame | None = None,
    on: On = None,
) -> Privacy:
    """Find personal data and secrets in attributes, names, events, resources, URLs and SQL.

    Parameters
    ----------
    traces
        The traces; not modified.  A store is read part by part, twice: what one part shows is found in all.
    policy
        What the column ``action`` describes: as for ``TraceSet.redact``.
    logs
        Log lines, such as ``tk.logs(...).lines``: their ``message`` is searched too.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    Privacy
        ``table`` lists kind, place, key, number and a masked example.

    Raises
    ------
    ValueError
        If the policy cannot be used, ``logs`` has no column ``message``, or ``on`` without a store.

    Notes
    -----
    Found by their form: e-mail addresses, payment cards (issuer, length, check digit), IBAN, US social security
    numbers, international phone numbers, JSON web tokens, AWS access keys, tokens of well-known services, private keys,
    bearer and basic credentials, passwords in URLs, secrets in parameters, public IP addresses (private ones are listed
    and kept), and random strings of 24 characters or more.  Found by their key: secrets, names, phone numbers, birth
    dates, postal addresses, addresses of clients.  Values in SQL and in queries of URLs are found wherever they are.
    What was found once is found wherever it occurs.  Each distinct text is searched once.  Ids of traces and spans,
    names of services and hosts, hexadecimal ids and UUIDs are not matched.  Not found: names in free text that no key
    has, compressed or encrypted data, hexadecimal secrets in keys that do not say so.

    Of a store, a kind, place and key with more than 4,096 distinct values has its ``value_count`` with a standard error
    of about 2%; so has the number of distinct texts.  All other numbers are exact.

    Examples
    --------
    >>> spans = shop.spans[["trace_id", "span_id", "name", "start_ns", "end_ns"]]
    >>> users = tk.TraceSet.from_spans(spans.assign(**{"attributes.user.email": "jo@example.org"}))
    >>> tk.privacy(users).table[["kind", "key", "use_count", "example"]].to_numpy().tolist()
    [['email', 'user.email', 28, 'jo...rg (14 characters)']]
    """
    check_traces(traces, "privacy")
    chosen = policy_of(policy) or policy_of(STANDARD)
    assert chosen is not None
    is_part = is_store(traces)
    known = over_parts(traces, _recognised, Known.merged, on=on).state if is_part else None
    found = over_parts(traces, MatchesOf(chosen, known, is_part=is_part), Matches.merged, on=on).state
    if logs is not None:
        found = found.plus(matches_in(logs, chosen))
    table = found.table()
    grouped = table.groupby("kind", sort=False)
    by_kind = grouped.agg(value_count=("value_count", "sum"), use_count=("use_count", "sum")).reset_index()
    return Privacy(table, by_kind, int(found.scanned.count.sum()))


def _recognised(traces: TraceSet) -> Known:
    """Return what is recognised in a part, which is then found wherever it occurs in any part."""
    return known_in(traces.columns)
