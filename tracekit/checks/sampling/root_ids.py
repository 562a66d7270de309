"""Ids of all traces with what their roots say, of all parts together; of a store, those of many traces of a service."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.checks.merged import Merged
from tracekit.stats.distinct_counts import hash_of_pairs, kept_values
from tracekit.weights.forensics import SdkIds
from tracekit.weights.known import TRACE_IDS

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array

MOST: Final = 65_536  # ids of a service


@dataclass(frozen=True)
class KnownIds:
    """Ids of traces, and what is known of their sampling; about 50 bytes each.

    Parameters
    ----------
    ids
        In the order of their values, once all parts are together.
    probability, is_by_ids
        Of each trace; whether its weight comes from the ids.
    total, level
        By service of the roots (None without): number of its traces, and ``level``: those are kept that a hash of their
        ids selects with probability ``2 ** -level``.
    """

    ids: SdkIds
    probability: Array
    is_by_ids: Array
    total: dict[str | None, int]
    level: dict[str | None, int]

    def plus(self, other: KnownIds) -> KnownIds:
        """Return those of two parts, with a limited number of ids of each service."""
        one, two = self.ids, other.ids
        ids = SdkIds(
            np.append(one.high, two.high),
            np.append(one.low, two.low),
            np.append(one.start_ns, two.start_ns),
            one.service.followed_by(two.service),
            one.language.followed_by(two.language),
            one.sdk.followed_by(two.sdk),
            np.append(one.has_begun, two.has_begun),
        )
        services = dict.fromkeys([*self.total, *other.total])
        total = {name: self.total.get(name, 0) + other.total.get(name, 0) for name in services}
        level = {name: max(self.level.get(name, 0), other.level.get(name, 0)) for name in services}
        probability = np.append(self.probability, other.probability)
        return KnownIds(ids, probability, np.append(self.is_by_ids, other.is_by_ids), total, level).limited()

    def limited(self) -> KnownIds:
        """Return those of a part of a store, with a limited number of ids of each service."""
        service = self.ids.service
        names: list[str | None] = [None, *service.labels]
        mixed = hash_of_pairs(self.ids.high, self.ids.low)
        kept, level = kept_values(
            service.codes.astype(np.int64) + 1, mixed, np.array([self.level.get(name, 0) for name in names]), MOST
        )
        return replace(self.where(np.flatnonzero(kept)), level=dict(zip(names, level.tolist(), strict=True)))

    def where(self, rows: Array) -> KnownIds:
        """Return some of them, in this order."""
        ids = self.ids
        some = SdkIds(
            ids.high[rows],
            ids.low[rows],
            ids.start_ns[rows],
            ids.service.take(rows),
            ids.language.take(rows),
            ids.sdk.take(rows),
            ids.has_begun[rows],
        )
        return replace(self, ids=some, probability=self.probability[rows], is_by_ids=self.is_by_ids[rows])

    def sampled(self, service: str) -> tuple[str, ...]:
        """Return the assumption that the kept ids stand for all of a service; nothing if they are all."""
        if not self.level.get(service, 0):
            return ()
        kept = int((self.ids.service.codes == self.ids.service.labels.index(service)).sum())
        return (f"{kept:,} of {self.total[service]:,} traces of the service, chosen by a hash of their ids",)


def _known(case: Case) -> KnownIds:
    """Return the ids of a part."""
    ids, source = SdkIds.of(case.traces), case.traces.weights.source
    is_by_ids = np.array([label.startswith(TRACE_IDS) for label in source.labels] + [True])[source.codes]
    names, counts = np.unique(ids.service.codes, return_counts=True)
    labels: list[str | None] = [*ids.service.labels, None]
    total = {labels[code]: often for code, often in zip(names.tolist(), counts.tolist(), strict=True)}
    return KnownIds(ids, case.probability, is_by_ids, total, dict.fromkeys(total, 0))


def _in_order(_: Case, known: KnownIds) -> KnownIds:
    """Return the ids of all parts in the order of their values, as traces in memory are."""
    return known.where(np.lexsort((known.ids.low, known.ids.high)))


ROOT_IDS: Final[Merged[KnownIds]] = Merged(_known, KnownIds.plus, _in_order, limit=KnownIds.limited)
