"""Whether two sets of traces can be compared: what is known of how each was sampled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from tracekit.weights.known import Weights

Basis = Literal["all traffic", "requests of one kind", "recorded traces", "not comparable"]


class Comparability(NamedTuple):
    """What a comparison of two sets of traces is about.

    Parameters
    ----------
    basis
        ``all traffic`` (all weights are known), ``requests of one kind`` (both sides were kept for what they are, such
        as failed), ``recorded traces`` (no weights are known), or ``not comparable``.
    statement
        The same in a clause, with the reason.

    Examples
    --------
    >>> Comparability("recorded traces", "no weights are known").is_comparable
    True
    """

    basis: Basis
    statement: str

    @property
    def is_comparable(self) -> bool:
        """Whether a difference can come from anything but the sampling, as far as is known."""
        return self.basis != "not comparable"


def comparability(this: Weights, other: Weights) -> Comparability:
    """Return what a comparison of traces with these weights is about.

    Parameters
    ----------
    this, other
        Weights of the two sets.

    Returns
    -------
    Comparability
        Comparable where the weights of both sides are known, or of neither; two sides without weights are compared as
        recorded, and a difference may then come from the sampling.

    Examples
    --------
    >>> import numpy as np
    >>> from tracekit.weights.known import UNKNOWN, given
    >>> ids = ["a1", "b2"]
    >>> sampled, unknown = given(ids, [1.0, 20.0]), given(ids, 1.0, UNKNOWN)
    >>> comparability(sampled, sampled).basis, comparability(unknown, unknown).basis
    ('all traffic', 'recorded traces')
    >>> print(comparability(sampled, unknown).statement)
    not comparable: weights are known on this side only, so a difference may come from the sampling
    """
    sides = {"this side": this, "the other side": other}
    for name, side in sides.items():
        missing = int((~side.known).sum())
        if 0 < missing < len(side.known):
            count = f"the weight of {missing:,} of {len(side.known):,} traces on {name} is unknown"
            return Comparability("not comparable", f"not comparable: {count}")
    known = [name for name, side in sides.items() if side.known.all()]
    if not known:
        statement = "no weights are known: recorded traces are compared, and a difference may come from the sampling"
        return Comparability("recorded traces", statement)
    if len(known) == 1:
        statement = f"weights are known on {known[0]} only, so a difference may come from the sampling"
        return Comparability("not comparable", f"not comparable: {statement}")
    certain = [name for name, side in sides.items() if side.is_one_kind]
    if len(certain) == 1:
        statement = f"traces on {certain[0]} were all kept for what they are, those on the other were sampled"
        return Comparability("not comparable", f"not comparable: {statement}")
    if certain:
        statement = "all traces were kept for what they are: such requests are compared, not all traffic"
        return Comparability("requests of one kind", statement)
    return Comparability("all traffic", "weights are known on both sides: all traffic is compared")
