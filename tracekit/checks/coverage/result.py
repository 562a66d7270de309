"""Result of ``tk.coverage``: ten metrics with intervals and verdicts, and the funnel to searchable traces."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracekit.checks.sampling.funnel import DELIVERED, TAIL
from tracekit.findings import Shown
from tracekit.readable_tables import as_html
from tracekit.text import count, ratio

if TYPE_CHECKING:
    import pandas as pd

_WORDS = {
    "instrumented": "reaching instrumented code",
    "sampled": "sampling",
    "recorded": "recording",
    "indexed": "indexing",
    DELIVERED: "delivery",
    TAIL: "the declared tail policies",
}


@dataclass(frozen=True, repr=False, eq=False)
class Coverage(Shown):
    """Metrics of trace coverage and losses by stage.

    Parameters
    ----------
    metrics
        One row per metric and scope: ``metric`` (M1 to M10), ``name``, ``service_name``, ``http_route`` (missing for
        the total), ``value``, ``unit``, ``low``, ``high``, ``n``, ``target``, ``verdict`` (``ok``, ``failed``,
        ``inconclusive``, ``measured`` without a target, ``not_assessable``), ``meaning`` (or the missing input).
    funnel
        One row per known stage: ``stage``, ``count``, ``estimate`` (share of the previous stage), ``estimate_low``,
        ``estimate_high``, ``expected``, ``status``, ``loss_share`` (share of the unexpected loss); empty without
        request counts.

    Examples
    --------
    >>> print(tk.coverage(shop).summary)
    no request counts to compare with
    """

    metrics: pd.DataFrame
    funnel: pd.DataFrame

    @property
    def loses_most(self) -> str | None:
        """Stage with the largest unexpected loss, otherwise with the largest loss; None if unknown."""
        if len(self.funnel) < 2:  # noqa: PLR2004 - requests and one more
            return None
        stages = self.funnel.iloc[1:]
        broken = stages[stages["status"] == "failed"]
        if len(broken):
            return str(broken["stage"].iloc[int(broken["loss_share"].to_numpy(float).argmax())])
        return str(stages["stage"].iloc[int(stages["estimate"].to_numpy(float).argmin())])

    @property
    def summary(self) -> str:
        """One sentence: share of the requests with a trace, and the stage with the largest loss."""
        if not len(self.funnel):
            return "no request counts to compare with"
        requests, last = self.funnel["count"].iloc[0], self.funnel.iloc[-1]
        share = ratio(last["count"] / requests)
        stage = self.loses_most
        ends = "dropped by" if stage == TAIL else "lost at"
        lost = f"; most are {ends} {_WORDS.get(stage, stage)}" if stage is not None else ""
        return f"{share} of {count(requests)} requests have a searchable trace{lost}"

    def __repr__(self) -> str:
        whole = self.metrics[self.metrics["service_name"].isna()]
        missed, unknown = ((whole["verdict"] == verdict).sum() for verdict in ("failed", "not_assessable"))
        return (
            f"Coverage({self.summary}; {missed} of {len(whole)} metrics miss their targets, "
            f"{unknown} {'is' if unknown == 1 else 'are'} not assessable)"
        )

    def _repr_html_(self) -> str:
        whole = self.metrics[self.metrics["service_name"].isna()]
        tables = [as_html(frame) for frame in (whole, self.funnel) if len(frame)]
        return f"<p>{html.escape(repr(self))}</p>{''.join(tables)}"
