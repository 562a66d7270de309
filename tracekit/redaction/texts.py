"""Texts for reports and exports: PII and secrets in them are masked, with the patterns of the ``pii`` check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracekit.redaction.patterns import DETECTORS, masked
from tracekit.redaction.scan import blob, digit_runs, hits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from re import Match

    from tracekit.redaction.patterns import Detector

_KEPT = "private address"  # as in labels: listed by the check, not a leak


def redacted(texts: Sequence[str]) -> list[str]:
    """Return texts with PII and secrets masked; the rest of each text stays.

    Plain runs of digits are masked if they begin like a payment card and have its check digit: one in ten random runs
    does.

    Parameters
    ----------
    texts
        Any texts, such as log messages.

    Returns
    -------
    list of str
        One per text.

    Examples
    --------
    >>> redacted(["order 17 of jo.smith@example.org paid", "order 18 paid"])
    ['order 17 of jo...rg (20 characters) paid', 'order 18 paid']
    """
    found = list(texts)
    whole = blob(found)
    runs = digit_runs(whole)
    for at in np.flatnonzero(runs.is_card_like & runs.is_valid):
        number = bytes(whole.data[runs.begin[at] : runs.begin[at] + runs.length[at]]).decode()
        row = int(runs.row[at])
        found[row] = found[row].replace(number, masked(number))
    for row, kind in sorted({(hit.row, hit.kind) for hit in hits(whole) if hit.kind != _KEPT}):
        found[row] = _masked_in(found[row], DETECTORS[kind])
    return found


def _masked_in(text: str, detector: Detector) -> str:
    """Return a text with every valid match of one kind masked."""

    def mask(match: Match[str]) -> str:
        return masked(match.group()) if detector.is_valid(match.group()) else match.group()

    return detector.pattern.sub(mask, text)
