"""Statements that services send to databases, without their values: how often each trace has which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.name_templates import statement_template

if TYPE_CHECKING:
    from tracekit.traces import TraceSet

KEYS: Final = ("service_name", "operation", "statement")
TEXT_KEYS: Final = ("db.query.text", "db.statement")


class QueryTexts(NamedTuple):
    """The SQL statements of a set of traces.

    Parameters
    ----------
    calls
        One row per ``service_name``, ``operation``, ``statement`` (values as ``?``) and ``trace`` that has it:
        ``call_count``.
    recorded
        One row per ``service_name``: its database spans (``span_count``), and those with a text (``text_count``).
    """

    calls: pd.DataFrame
    recorded: pd.DataFrame


def query_texts(traces: TraceSet) -> QueryTexts:
    """Return the SQL statements of the services, by trace."""
    text = traces.lookup.by_key.codes_of(TEXT_KEYS, statement_template)
    has_text = text.codes >= 0
    is_call = has_text | ((traces.codes("db_system_name").codes >= 0) & ~traces.is_inferred)
    service = traces.codes("service_name").series().astype(object)
    texts = pd.Series(has_text[is_call]).groupby(service[is_call].to_numpy(object))
    recorded = pd.DataFrame({"span_count": texts.size(), "text_count": texts.sum()}).astype(np.int64)
    rows = np.flatnonzero(has_text)
    frame = pd.DataFrame(
        {
            "service_name": service.to_numpy(object)[rows],
            "operation": traces.codes("operation").take(rows).series().to_numpy(object),
            "statement": text.take(rows).series().to_numpy(object),
            "trace": traces.forest.trace[rows],
        }
    )
    is_sql = frame["statement"].astype(bool) if len(frame) else np.zeros(0, bool)
    calls = frame[is_sql].groupby([*KEYS, "trace"], sort=True).size().rename("call_count").reset_index()
    return QueryTexts(calls, recorded)
