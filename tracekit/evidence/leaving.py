"""What is answered from a store as it may leave: answers are redacted, as the traces cannot be beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from tracekit.findings import Findings
from tracekit.redaction.keys import context_of
from tracekit.report.leaving import redacted_findings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.findings import Finding
    from tracekit.report.redaction import Outgoing

_KEY, _VALUE = "attribute_key", "attribute_value"


def redacted_rows(rows: pd.DataFrame, outgoing: Outgoing) -> pd.DataFrame:
    """Return measured numbers with their names as they may leave; values of attributes are judged by their key, too."""
    values = rows[_VALUE].astype(object)
    for key in rows[_KEY].unique():
        mine = (rows[_KEY] == key) & (values != "")
        values = values.where(~mine, _by_key(values, str(key), outgoing))
    return outgoing.frame(rows.assign(**{_VALUE: values}))


def redacted_services(names: list[str], outgoing: Outgoing | None) -> list[str]:
    """Return names of services as they may leave."""
    if outgoing is None:
        return names
    found: list[str] = outgoing.frame(pd.DataFrame({"service_name": names}, dtype=object))["service_name"].tolist()
    return found


def leaving_findings(found: Sequence[Finding], outgoing: Outgoing | None) -> list[Finding]:
    """Return findings about attribute values as they may leave."""
    if outgoing is None:
        return list(found)
    for named in (finding.values for finding in found):  # noqa: PD011 - not of pandas
        outgoing.texts([str(named[_VALUE])], context_of(str(named["key"])))  # notes what its key shows
    return list(redacted_findings(Findings(list(found)), outgoing))


def _by_key(values: pd.Series, key: str, outgoing: Outgoing) -> pd.Series:
    """Return values of an attribute without personal data and secrets."""
    known = [str(value) for value in values.unique()]
    return values.map(dict(zip(known, outgoing.texts(known, context_of(key)), strict=True)))
