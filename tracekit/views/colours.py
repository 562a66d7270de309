"""Colours of services: the same in every view, trace and report.

Ten colours (Okabe-Ito hues, optimised for a contrast of at least 3:1 on the background and for distinction under
colour-vision deficiency); an index has the same hue in the light and the dark theme.  Red is reserved for errors.

All views of a session share one assignment.  A view first assigns the colours of all services of the recording that it
is from, whichever of them it shows, so a service has its colour in every subset, and in both sides of a comparison.
The slot of a service is the hash of its name, or the next free one if another service has it.  Beyond ten services
colours repeat, each about equally often: every view also has the names, and lines of one colour differ in their dashes.
"""

from __future__ import annotations

import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

LIGHT: Final = (
    "#0094e7", "#c48700", "#00a679", "#7a4964", "#2d78a3", "#753400", "#908a3c", "#5b32a8", "#4e382b", "#8695a6",
)  # fmt: skip
DARK: Final = (
    "#0094e7", "#ffb000", "#00cd95", "#e077b2", "#7ed1ff", "#aa4b00", "#c0b851", "#79579f", "#8c644d", "#606a77",
)  # fmt: skip
_FIRST_CHOICE: Final = 6  # number of preferred colours; the others are brown, grey or dark in the light theme
_ORDER: Final = (0, 2, 1, 4, 6, 7, 3, 5, 9, 8)
NO_SERVICE: Final = "(no service)"


class Colours:
    """Colour slots by service."""

    def __init__(self, services: Iterable[str] = ()) -> None:
        self._slots: dict[str, int] = {}
        self._used: Counter[int] = Counter()
        self.assign(services)

    @property
    def slots(self) -> dict[str, int]:
        """The slot of each service that has one."""
        return dict(self._slots)

    def assign(self, services: Iterable[str]) -> None:
        """Assign slots to new services, independently of their order."""
        for service in sorted(set(services) - self._slots.keys()):
            slot = self._slots[service] = self._free_slot(service)
            self._used[slot] += 1

    def slot(self, service: str) -> int:
        """Return the slot of a service: an index into ``LIGHT`` and ``DARK``."""
        if service not in self._slots:
            self.assign([service])
        return self._slots[service]

    def _free_slot(self, service: str) -> int:
        """Return the slot that the name hashes to, or the next one with fewest services."""
        start = zlib.crc32(service.encode("utf-8", "replace")) % _FIRST_CHOICE
        tries = [*_ORDER[start:_FIRST_CHOICE], *_ORDER[:start], *_ORDER[_FIRST_CHOICE:]]
        return min(tries, key=self._used.__getitem__)


SHARED: Final = Colours()  # shared by all views and reports of a session


def colours_for(*sources: Any) -> Colours:
    """Return the shared colours, after assigning those of all services of these recordings.

    A source is a TraceSet, a store or a result: one that has its TraceSet, or the names of its recording's services.
    """
    for source in sources:
        traces = source if hasattr(source, "codes") else getattr(source, "source", None)
        of = source if traces is None else traces
        SHARED.assign(of.codes("service_name").labels if hasattr(of, "codes") else of.recorded_services)
    return SHARED


def ink(colour: str) -> str:
    """Return black or white, whichever is legible on this colour."""
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]  # noqa: PLR2004 - sRGB
    return "#000" if 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.18 else "#fff"  # noqa: PLR2004 - spec
