"""``tk.listen``: the traces of your own application while it runs."""

from __future__ import annotations

import html
import os
import sys
import weakref
from http import HTTPStatus
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Self

from tracekit.errors import TracekitError
from tracekit.loading import read
from tracekit.loading.convert import convert
from tracekit.receiver.answers import JSON, PROTOBUF, Answer, RefusedError, accepted
from tracekit.receiver.counts import Tally
from tracekit.receiver.environment import environment
from tracekit.receiver.intake import HEADS, take
from tracekit.receiver.server import HOST, Server
from tracekit.receiver.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from tracekit.receiver.counts import Counts
    from tracekit.traces import TraceSet

_EVERY_S = 0.5
_PORTS = 1 << 16
_NAMES = {PROTOBUF: "OTLP protobuf", JSON: "OTLP JSON"}


def listen(port: int = 4318, *, progress: bool | Callable[[Counts], object] = True) -> Listener:
    """Receive the traces of your own application over OTLP/HTTP, on this machine only.

    Parameters
    ----------
    port
        The port of 127.0.0.1 to listen on; 0 for any free one.
    progress
        In a notebook, show a line with the number of spans, traces, services and errors, updated at most twice per
        second.  A function is called with the counts instead, anywhere.

    Returns
    -------
    Listener
        A context manager: the end of the block ends the server, and keeps what was received.

    Raises
    ------
    TracekitError
        The port is in use.
    ValueError
        ``port`` is not a port.

    Notes
    -----
    Exporters may send protobuf or JSON, unpacked or with gzip or deflate, up to 64 MiB a request.  Metrics and logs are
    answered with 404, which exporters do not repeat; ``env`` turns them off.  Requests from pages in a browser are
    refused.

    Examples
    --------
    >>> with tk.listen(port=0) as run:
    ...     run.env["OTEL_EXPORTER_OTLP_ENDPOINT"] == run.endpoint
    True
    >>> run.traces
    TraceSet(0 traces, 0 spans, 0 services, no times)
    """
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"expected a port number, found {type(port).__name__}: {port!r:.80}")
    if not 0 <= port < _PORTS:
        raise ValueError(f"expected a port from 0 to {_PORTS - 1}, found {port}")
    if isinstance(progress, bool):
        return Listener(port, _line() if progress and _is_notebook() else None)
    return Listener(port, progress)


class Listener:
    """A receiver of traces: see ``tracekit.listen``.

    Parameters
    ----------
    port
        The port of 127.0.0.1; 0 for any free one.
    on_counts
        Called with the counts when they have changed, at most twice per second, and at the end.

    Attributes
    ----------
    endpoint : str
        The URL for ``OTEL_EXPORTER_OTLP_ENDPOINT``.

    Examples
    --------
    >>> run = tk.listen(port=0)
    >>> run.counts.span_count, len(run.traces)
    (0, 0)
    >>> run.close()
    """

    def __init__(self, port: int, on_counts: Callable[[Counts], object] | None = None) -> None:
        self._tally = Tally()
        self._intake_lock = Lock()
        self._server = Server(port, self._receive, self._tally.refuse)
        self.endpoint = f"http://{HOST}:{self._server.port}"
        try:
            self._spools = {kind: Spool(f"{self.endpoint} ({_NAMES[kind]})", head) for kind, head in HEADS.items()}
        except OSError:
            self._server.server_close()
            raise
        for spool in self._spools.values():
            weakref.finalize(self, spool.close)
        self._read: tuple[tuple[int, ...], TraceSet] | None = None
        self._ticker = None if on_counts is None else _Ticker(self._tally, on_counts)
        self._server.start()
        if self._ticker is not None:
            self._ticker.start()

    @property
    def env(self) -> dict[str, str]:
        """The variables of this process, and those that make a child process export its traces to here."""
        return environment(os.environ, self.endpoint, HOST)

    @property
    def counts(self) -> Counts:
        """Numbers of what was received so far."""
        return self._tally.now

    @property
    def traces(self) -> TraceSet:
        """The traces received so far; ask again for later ones."""
        readers = [spool.reader() for spool in self._spools.values()]
        sizes = tuple(reader.seek(0, os.SEEK_END) for reader in readers)
        if self._read is None or self._read[0] != sizes:
            for reader in readers:
                reader.seek(0)
            self._read = sizes, read(readers, format="otlp")
        return self._read[1]

    def save(self, path: str | Path) -> Path:
        """Write what was received so far to a file of OTLP (``.jsonl``, ``.jsonl.zst``) or a Parquet store.

        Parameters
        ----------
        path
            As for ``tracekit.convert``.

        Returns
        -------
        pathlib.Path
            The path.

        Raises
        ------
        TracekitError
            Nothing was received.
        """
        if not self.counts.request_count:
            hint = f"start the application with the variables in env (OTEL_EXPORTER_OTLP_ENDPOINT={self.endpoint})"
            raise TracekitError(f"expected spans to save, but none were received; {hint}")
        return convert([spool.reader() for spool in self._spools.values()], path, format="otlp", redact=None)

    def close(self) -> None:
        """End the server; what was received stays."""
        self._server.close()
        if self._ticker is not None:
            self._ticker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._server.closing else "listening"
        return f"Listener({state}, {self.endpoint}, {self.counts})"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>"

    def _receive(self, body: bytes, content_type: str) -> Answer:
        """Store a request, and return the answer."""
        with self._intake_lock:  # one at a time: reading takes several times the memory of a body
            intake = take(body, content_type)
            try:
                self._spools[content_type].add(intake.data)
            except OSError as error:
                message = f"cannot store the request: {error.strerror or error}; make room for temporary files"
                headers = (("Retry-After", "5"),)
                raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, message, headers=headers, closes=False) from error
            self._tally.add(intake)
        return accepted(content_type, intake.rejected_count, intake.message)


class _Ticker:
    """Calls a function with the counts, at most twice per second.

    Parameters
    ----------
    tally
        Has the counts.
    show
        The function.
    """

    def __init__(self, tally: Tally, show: Callable[[Counts], object]) -> None:
        self._tally, self._show = tally, show
        self._shown = tally.now
        self._ended = Event()
        self._thread = Thread(target=self._run, name="tracekit-listen-counts", daemon=True)

    def start(self) -> None:
        """Show the counts from now on."""
        self._show(self._shown)
        self._thread.start()

    def close(self) -> None:
        """Show the last counts."""
        self._ended.set()
        self._thread.join()
        self._update()

    def _run(self) -> None:
        while not self._ended.wait(_EVERY_S):
            self._update()

    def _update(self) -> None:
        now = self._tally.now
        if now != self._shown:
            self._shown = now
            self._show(now)


def _line() -> Callable[[Counts], object]:
    """Return a function that shows the counts as a line below the notebook cell; it stays in the saved notebook."""
    from IPython.display import display  # noqa: PLC0415 - only where a notebook has loaded it

    output: list[Any] = []

    def update(counts: Counts) -> None:
        content = {"text/plain": str(counts), "text/html": html.escape(str(counts))}
        if output:
            output[0].update(content, raw=True)
        else:
            output.append(display(content, raw=True, display_id=True))  # type: ignore[no-untyped-call]  # has no types

    return update


def _is_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and shell.has_trait("kernel")
