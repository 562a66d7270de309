"""The progress of reading or writing, after one second: a bar in a terminal, a line of text in a notebook."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console

_PATIENCE_S = 1.0
_EVERY_S = 0.2  # between two updates of a notebook


class Watcher(Protocol):
    """Receives the progress of reading."""

    def at(self, byte_count: int, span_count: int) -> None:
        """Report how many bytes were read and how many spans were seen."""


class _Shown(Protocol):
    """A progress display."""

    def update(self, byte_count: int, rate: str) -> None:
        """Show how many bytes were read, and the spans as text."""

    def stop(self) -> None:
        """Remove the display."""


class Meter:
    """A progress display that appears when the work takes longer than a second, and leaves nothing.

    Parameters
    ----------
    total_bytes
        Bytes to read, as stored; None where a source does not know.
    show
        True always, False never, None only in a terminal or notebook.
    doing
        What takes the time.
    """

    def __init__(self, total_bytes: int | None, show: bool | None = None, doing: str = "reading") -> None:
        self._doing = doing
        self._total = total_bytes
        self._show = show
        self._begun = time.monotonic()
        self._shown: _Shown | None = None

    def at(self, byte_count: int, span_count: int) -> None:
        """Report how many bytes were read or written, and how many spans."""
        passed = time.monotonic() - self._begun
        if self._shown is None and passed > _PATIENCE_S and self._show is not False:
            self._open()
        if self._shown is not None:
            self._shown.update(byte_count, f"{span_count:,} spans, {span_count / max(passed, 1e-9):,.0f}/s")

    def _open(self) -> None:
        """Show the progress in a terminal or notebook."""
        from rich.console import Console  # noqa: PLC0415 - only long readings need it

        console = Console(stderr=True)
        if console.is_jupyter:
            self._shown = _Line(self._total, self._doing)
        elif self._show or console.is_terminal:
            self._shown = _Bar(self._total, console, self._doing)
        else:
            self._show = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown is not None:
            self._shown.stop()


class _Bar:
    """A bar in a terminal."""

    def __init__(self, total: int | None, console: Console, doing: str) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

        columns = (
            TextColumn(doing),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[spans]}"),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task(doing, total=total, spans="")
        self._progress.start()

    def update(self, byte_count: int, rate: str) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=byte_count, spans=rate)

    def stop(self) -> None:
        """Remove the bar."""
        self._progress.stop()


class _Line:
    """A line of text below a notebook cell; a widget would be missing from the saved notebook."""

    def __init__(self, total: int | None, doing: str) -> None:
        from IPython.display import display  # noqa: PLC0415 - only where a notebook has loaded it

        self._total, self._doing = total, doing
        self._updated = 0.0
        self._output = display(_texts(doing), raw=True, display_id=True)  # type: ignore[no-untyped-call]  # has no types

    def update(self, byte_count: int, rate: str) -> None:
        """Replace the line, a few times per second."""
        now = time.monotonic()
        if now - self._updated >= _EVERY_S:
            self._updated = now
            of_all = f" of {self._total / 1e6:,.0f}" if self._total else ""
            self._output.update(_texts(f"{self._doing}: {byte_count / 1e6:,.0f}{of_all} MB, {rate}"), raw=True)

    def stop(self) -> None:
        """Replace the line by nothing."""
        self._output.update(_texts(""), raw=True)


def _texts(text: str) -> dict[str, str]:
    """Return a text as the content of an output; it contains numbers only, no names."""
    return {"text/html": text, "text/plain": text}
