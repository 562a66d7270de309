"""The progress bar of reading: after one second, in a terminal or a notebook only."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from types import TracebackType

    from rich import progress as rich_progress

_PATIENCE_S = 1.0


class Watcher(Protocol):
    """Receives the progress of reading."""

    def at(self, byte_count: int, span_count: int) -> None:
        """Report how many bytes were read and how many spans were seen."""


class Meter:
    """A progress bar that appears when the work takes longer than a second.

    Parameters
    ----------
    total_bytes
        Bytes to read, as stored; None where a source does not know.
    show
        True always, False never, None only in a terminal or notebook.
    """

    def __init__(self, total_bytes: int | None, show: bool | None = None) -> None:
        self._total = total_bytes
        self._show = show
        self._begun = time.monotonic()
        self._bar: rich_progress.Progress | None = None
        self._task: rich_progress.TaskID | None = None

    def at(self, byte_count: int, span_count: int) -> None:
        """Report how many bytes were read and how many spans were seen."""
        passed = time.monotonic() - self._begun
        if self._bar is None and passed > _PATIENCE_S and self._show is not False:
            self._open()
        if self._bar is not None and self._task is not None:
            rate = f"{span_count:,} spans, {span_count / max(passed, 1e-9):,.0f}/s"
            self._bar.update(self._task, completed=byte_count, spans=rate)

    def _open(self) -> None:
        """Show the bar in a terminal or notebook."""
        from rich.console import Console  # noqa: PLC0415 - only long readings need it
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

        console = Console(stderr=True)
        if not (self._show or console.is_terminal or console.is_jupyter):
            self._show = False
            return
        columns = (
            TextColumn("reading"),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[spans]}"),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=console, transient=True)
        self._task = self._bar.add_task("reading", total=self._total, spans="")
        self._bar.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
