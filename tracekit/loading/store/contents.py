"""What is in a store, from its marker: parts, services, period and sources, without reading spans."""

from __future__ import annotations

import html
from functools import cached_property, reduce
from typing import TYPE_CHECKING

from tracekit.filters import spelled
from tracekit.findings import Shown
from tracekit.loading.store.execution import over_tasks
from tracekit.loading.store.part_task import PartTask
from tracekit.loading.store.read_write import read_frames, shared_frames
from tracekit.redaction.apply import removed_in
from tracekit.self_description import step
from tracekit.text import plural

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.loading.store.part_task import Reader
    from tracekit.loading.store.read_write import Marker, PartMark
    from tracekit.loading.store.remote import Place
    from tracekit.loading.store.steps import Step
    from tracekit.parts import On


class StoreContents(Shown):
    """The parts of a store, the calls that are applied to them, and what is known of them before they are read."""

    def __init__(
        self,
        path: Place,
        marker: Marker,
        numbers: tuple[int, ...],
        steps: tuple[Step, ...] = (),
        reader: Reader = over_tasks,
        *,
        on: On = None,
    ) -> None:
        self.path = path
        self._marker = marker
        self._numbers = numbers
        self._steps = steps
        self._reader = reader
        self._on = on

    @property
    def _marks(self) -> list[PartMark]:
        """What is known of each part."""
        return [self._marker.parts[number] for number in self._numbers]

    @property
    def part_count(self) -> int:
        """Number of parts."""
        return len(self._numbers)

    @property
    def services(self) -> list[str]:
        """All services of the parts, also of traces that conditions exclude."""
        return sorted({name for mark in self._marks for name in mark.services})

    @property
    def recorded_services(self) -> tuple[str, ...]:
        """The same, as results have them: views give services their colours."""
        return tuple(self.services)

    @property
    def _recorded_ns(self) -> tuple[int, int] | None:
        """First and last start of a request, in ns, of all traces of the parts; None without any."""
        return reduce(wider, (mark.period_ns for mark in self._marks), None)

    @property
    def is_chosen(self) -> bool:
        """Whether conditions may exclude traces."""
        return any(one.method in {"where", "between", "_kept"} for one in self._steps)

    def _position(self, number: int) -> int:
        """Return the position of a part; IndexError if there is none."""
        if not 0 <= number < self.part_count:
            raise IndexError(f"expected the number of a part, from 0 to {self.part_count - 1:,}, found {number}")
        return number

    @cached_property
    def keys(self) -> list[str]:
        """Keys of the attributes of spans and resources in all parts, sorted; names to group by."""
        return sorted({key for mark in self._marker.parts for key in mark.keys})

    @property
    def tasks(self) -> list[PartTask]:
        """The parts as tasks: what any process needs to read them."""
        files, marks, keys = self._marker.files, self._marker.parts, tuple(self.keys)
        steps = {at: tuple(one.of_part(at) for one in self._steps) for at in self._numbers}
        return [PartTask(self.path, at, marks[at], files, steps[at], keys) for at in self._numbers]

    @property
    def sampled(self) -> tuple[str, float] | None:
        """Which of the parts these are, and what weights were multiplied by; None unless ``sample`` chose them."""
        if not any(one.method == "_scaled" for one in self._steps):
            return None
        kept, total = (sum(mark.trace_count for mark in marks) for marks in (self._marks, self._marker.parts))
        said = f"{len(self._numbers):,} of {len(self._marker.parts):,} parts, {kept:,} of {total:,} traces"
        return said + " before conditions" * self.is_chosen, len(self._marker.parts) / len(self._numbers)

    @property
    def _calls(self) -> tuple[str, ...]:
        """The calls that open the store."""
        whole = len(self._numbers) == len(self._marker.parts)
        calls = [one.call for one in self._steps if one.call]
        return (f'tk.open("{self.path.name}")', *([] if whole else [step("only", list(self._numbers))]), *calls)

    @property
    def made(self) -> str:
        """The calls that open the store, as code."""
        return "".join(self._calls)

    @property
    def sources(self) -> pd.DataFrame:
        """One row per source; see ``TraceSet.sources``."""
        return shared_frames(self.path, self._marker.files).sources.copy()

    @cached_property
    def redacted(self) -> pd.DataFrame:
        """What was removed from the store, as its notes say; see ``TraceSet.redacted``."""
        notes = [(row["key"], row["value"]) for row in read_frames(self.path, self._marker.files)["notes"]]
        return removed_in(dict(notes))

    @property
    def issues(self) -> pd.DataFrame:
        """One row per issue; see ``TraceSet.issues``."""
        return shared_frames(self.path, self._marker.files).issues.copy()

    def __repr__(self) -> str:
        period = f", {spelled(*self._recorded_ns)}" if self._recorded_ns else ""
        calls = "".join(one.call for one in self._steps)
        spans = sum(mark.span_count for mark in self._marks)
        size = f"{plural(self.part_count, 'part')}, {spans:,} spans, {plural(len(self.services), 'service')}"
        return f"TraceStore({self.path.name}: {size}{period}){calls}"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>"


def wider(first: tuple[int, int] | None, second: tuple[int, int] | None) -> tuple[int, int] | None:
    """Return the period of both, each the first and the last start; None without any."""
    known = [one for one in (first, second) if one]
    return (min(low for low, _ in known), max(high for _, high in known)) if known else None
