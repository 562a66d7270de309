"""A postmortem: its sections, made of findings, in three lengths."""

from __future__ import annotations

import html
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

from tracekit.findings import Finding, Findings, Shown
from tracekit.on_demand import pd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Length = Literal["executive", "on-call", "full"]
LENGTHS: Final[tuple[Length, ...]] = get_args(Length)
TITLES: Final = {
    "summary": "Summary",
    "impact": "Impact",
    "timeline": "Timeline (UTC)",
    "waits": "What users waited for",
    "hypotheses": "Root-cause hypotheses",
    "limits": "What the data cannot show",
    "remedies": "What would help most",
    "actions": "Action items",
}
"""The sections in the order in which they are read, with their headings."""

# how many entries of a section are shown: of hypotheses and actions also those below each
_SHOWN: Final[dict[str, dict[str, int]]] = {
    "executive": {"impact": 2, "timeline": 5, "waits": 1, "hypotheses": 1, "limits": 3, "remedies": 1, "actions": 3},
    "on-call": {"waits": 5, "hypotheses": 3, "limits": 8, "remedies": 3},
}
_BELOW: Final = {"executive": (2, 1, 0), "on-call": (6, 6, 6)}  # evidence, counter-evidence, checks of an action


class Hypothesis(NamedTuple):
    """A possible root cause.

    Parameters
    ----------
    claim
        Finding that names it.
    evidence, counter
        Findings that speak for it, and against it or for another cause.
    """

    claim: Finding
    evidence: tuple[Finding, ...]
    counter: tuple[Finding, ...]


class Action(NamedTuple):
    """Something to do.

    Parameters
    ----------
    item
        Finding that says what.
    checks
        Findings about what would notice or prevent a repetition: ``values["kind"]`` is ``diff``, ``x-ray``, ``traceql``
        or ``instrumentation``, ``values["command"]`` the command or expression.
    """

    item: Finding
    checks: tuple[Finding, ...]


@dataclass(frozen=True, repr=False)
class Postmortem(Shown):
    """What happened, in sections of findings.

    Parameters
    ----------
    summary
        What is wrong, what was compared, since when, the likely cause.
    impact
        Who was affected, by how much, and for how long.
    timeline
        Times in order: ``values["at"]`` is the label, ``values["at_ns"]`` the time.
    waits
        What requests waited for, the largest change first.
    hypotheses
        Possible root causes with evidence and counter-evidence, the best first; empty without a regression.
    limits
        What the data cannot show.
    remedies
        What would help most, by simulation.
    actions
        What to do, each with the checks that would notice or prevent a repetition.
    length
        ``executive``, ``on-call`` or ``full``.
    left_out
        Entries that are only in a longer one, by section.

    Examples
    --------
    >>> before, during = tk.load_sample("checkout-regression")
    >>> story = tk.investigate(during, before).story
    >>> story
    Postmortem(full: 1 hypothesis, 5 action items, 45 findings)
    >>> story.hypotheses[0].claim.headline
    'Likely: the cause is at ledger (N+1 calls).'
    """

    summary: tuple[Finding, ...] = ()
    impact: tuple[Finding, ...] = ()
    timeline: tuple[Finding, ...] = ()
    waits: tuple[Finding, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()
    limits: tuple[Finding, ...] = ()
    remedies: tuple[Finding, ...] = ()
    actions: tuple[Action, ...] = ()
    length: Length = "full"
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def findings(self) -> list[Finding]:
        """Every sentence, in the order in which it is read."""
        return [one for name in TITLES for one in self._of(name)]

    @property
    def sections(self) -> list[str]:
        """Names of the sections that are not empty, in the order in which they are read."""
        return [name for name in TITLES if getattr(self, name)]

    def count(self, section: str) -> int:
        """Return the number of sentences of a section.

        Parameters
        ----------
        section
            Its name.
        """
        return len(list(self._of(section)))

    def _of(self, section: str) -> Iterator[Finding]:
        """Yield the findings of a section."""
        for entry in getattr(self, section):
            if isinstance(entry, Finding):
                yield entry
                continue
            first, *rest = entry
            yield first
            for below in rest:
                yield from below

    def only(self, section: str) -> Postmortem:
        """Return one section alone, as a notebook shows it.

        Parameters
        ----------
        section
            Its name: ``summary``, ``impact``, ``timeline``, ``waits``, ``hypotheses``, ``limits``, ``remedies``,
            ``actions``.

        Raises
        ------
        ValueError
            Another name.
        """
        if section not in TITLES:
            raise ValueError(f"expected a section among {', '.join(TITLES)}, found {section!r}")
        return Postmortem(**{section: getattr(self, section)}, length=self.length)

    def frame(self) -> pd.DataFrame:
        """Return one row per sentence.

        Returns
        -------
        pandas.DataFrame
            ``section``, and the columns of ``Findings.frame``.
        """
        parts = [_in_order(list(self._of(name))).assign(section=name) for name in TITLES]
        whole = pd.concat(parts, ignore_index=True)
        return whole[["section", *whole.columns.drop("section")]]

    def cut(self, length: Length) -> Postmortem:
        """Return this postmortem in another length; ``left_out`` counts what is only in a longer one.

        Parameters
        ----------
        length
            ``executive`` (one printed page), ``on-call`` or ``full``.

        Raises
        ------
        ValueError
            Another length.
        """
        check_length(length)
        if length == "full":
            return replace(self, length=length)
        before = {name: self.count(name) for name in TITLES}
        shown: dict[str, Any] = {name: getattr(self, name)[: _SHOWN[length].get(name)] for name in TITLES}
        shown["timeline"] = _most_important(self.timeline, _SHOWN[length].get("timeline"))
        first, second, third = _BELOW[length]
        shown["hypotheses"] = tuple(
            Hypothesis(one.claim, one.evidence[:first], one.counter[:second]) for one in shown["hypotheses"]
        )
        shown["actions"] = tuple(Action(one.item, one.checks[:third]) for one in shown["actions"])
        less = replace(self, length=length, **shown)
        left_out = {name: before[name] - less.count(name) for name in TITLES}
        return replace(less, left_out={name: number for name, number in left_out.items() if number})

    def weakened(self, failures: tuple[Finding, ...]) -> Postmortem:
        """Return this postmortem with findings about sections that could not be made, first among the limits.

        Parameters
        ----------
        failures
            One finding per error.
        """
        return replace(self, limits=(*failures, *self.limits))

    def __str__(self) -> str:
        blocks = []
        for name, title in TITLES.items():
            if lines := [f"- {one.headline}" for one in self._of(name)]:
                blocks.append("\n".join([title, *lines]))
        return "\n\n".join(blocks)

    def __repr__(self) -> str:
        sizes = (len(self.hypotheses), "hypothesis", "hypotheses"), (len(self.actions), "action item", "action items")
        words = [f"{number} {one if number == 1 else many}" for number, one, many in sizes]
        return f"Postmortem({self.length}: {', '.join(words)}, {len(self.findings)} findings)"

    def _repr_html_(self) -> str:
        blocks = []
        for name in self.sections:
            lines = "".join(_item_html(entry) for entry in getattr(self, name))
            blocks.append(f"<h4>{TITLES[name]}</h4><ul>{lines}</ul>")
        return f'<div style="max-width:110ch">{"".join(blocks)}</div>'


def check_length(length: str) -> None:
    """Raise ValueError unless postmortems have this length."""
    if length not in LENGTHS:
        raise ValueError(f"expected a length among {', '.join(LENGTHS)}, found {length!r}")


def _item_html(entry: Finding | Hypothesis | Action) -> str:
    """Return an entry as an item of a list, with what is below it; what comes from the traces is text."""
    if isinstance(entry, Finding):
        return f"<li>{html.escape(entry.headline)}</li>"
    if isinstance(entry, Action):
        below = "".join(map(_item_html, entry.checks))
        return f"<li><b>{html.escape(entry.item.headline)}</b><ul>{below}</ul></li>"
    parts = ("Evidence", entry.evidence), ("Counter-evidence", entry.counter)
    below = "".join(f"<li><i>{title}</i><ul>{''.join(map(_item_html, found))}</ul></li>" for title, found in parts)
    return f"<li><b>{html.escape(entry.claim.headline)}</b><ul>{below}</ul></li>"


def _in_order(found: list[Finding]) -> pd.DataFrame:
    """Return one row per finding, in this order."""
    frames = [Findings([one]).frame() for one in found]
    return pd.concat(frames, ignore_index=True) if frames else Findings().frame()


def _most_important(timeline: tuple[Finding, ...], most: int | None) -> tuple[Finding, ...]:
    """Return the most important entries of a timeline, in order; the first has its date."""
    ranked = sorted(range(len(timeline)), key=lambda at: numbers_of(timeline[at])["rank"])[:most]
    kept = [timeline[at] for at in sorted(ranked)]
    return (*map(_dated, kept[:1]), *kept[1:])


def _dated(first: Finding) -> Finding:
    """Return an entry of a timeline with its date."""
    numbers = numbers_of(first)
    date, at = (str(numbers[name]) for name in ("date", "at"))
    if at.startswith(date):
        return first
    return replace(first, headline=f"{date} {first.headline}", values={**numbers, "at": f"{date} {at}"})


def numbers_of(found: Finding) -> Mapping[str, Any]:
    """Return the names and numbers of a finding."""
    return found.values
