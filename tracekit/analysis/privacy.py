"""Personal data and secrets in traces: what, where, how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.arguments import check_traces
from tracekit.findings import Shown
from tracekit.readable_tables import as_html
from tracekit.redaction.keys import Context
from tracekit.redaction.policy import STANDARD, policy_of
from tracekit.redaction.tables import Pool, pools_of, strings
from tracekit.redaction.uses import Use, table_of, uses_of
from tracekit.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

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


def privacy(traces: TraceSet, *, policy: Policy | str | Any = STANDARD, logs: pd.DataFrame | None = None) -> Privacy:
    """Find personal data and secrets in attributes, names, events, resources, URLs and SQL.

    Parameters
    ----------
    traces
        The traces; not modified.
    policy
        What the column ``action`` describes: as for ``TraceSet.redact``.
    logs
        Log lines, such as ``tk.logs(...).lines``: their ``message`` is searched too.

    Returns
    -------
    Privacy
        ``table`` lists kind, place, key, number and a masked example.

    Raises
    ------
    ValueError
        If the policy cannot be used, or ``logs`` has no column ``message``.

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
    pools = pools_of(traces.columns)
    uses = list(uses_of(traces.columns, pools, chosen))
    scanned = sum(len(pool.texts) for pool in pools)
    if logs is not None:
        more, count = _of_logs(logs, chosen)
        uses, scanned = [*uses, *more], scanned + count
    table = table_of(uses)
    grouped = table.groupby("kind", sort=False)
    by_kind = grouped.agg(value_count=("value_count", "sum"), use_count=("use_count", "sum")).reset_index()
    return Privacy(table, by_kind, scanned)


def _of_logs(lines: pd.DataFrame, policy: Policy) -> tuple[Iterator[Use], int]:
    """Return the matches in log messages, and the number of distinct messages."""
    if not isinstance(lines, pd.DataFrame) or "message" not in lines:
        raise ValueError(f"expected log lines with a column message, such as tk.logs(...).lines, found {type(lines)}")
    codes, texts = pd.factorize(lines["message"].to_numpy(object))
    messages = [str(text) for text in texts]
    pool = Pool(strings(messages), [Context()], np.zeros(len(messages), np.int64)).search()
    use = np.bincount(codes[codes >= 0], minlength=len(messages))
    found = (
        Use(match.kind, "log message", "", value, int(use[row]), policy.action(match.kind))
        for row, match, value in pool.values()
    )
    return found, len(messages)
