"""Pulling traces from backends into a folder, with an outcome for every trace and a ledger of every window.

``kinds`` lists the backends, each a module that implements ``backend.Backend``; ``core`` runs a pull: it halves windows
whose answer is full, and fetches traces by id.  ``http`` and ``credentials`` send requests, ``calls`` waits between
attempts, ``workers`` runs them in parallel; ``folder`` stores the answers, ``ledger`` describes them, ``result`` is the
outcome.  ``aws.pull`` uses the same folder, workers, windows and progress for X-Ray.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tracekit.pull.credentials import Given
    from tracekit.pull.progress import Progress
    from tracekit.pull.result import Pull

__all__ = ["pull"]


def pull(
    backend: str,
    url: str,
    *,
    folder: str | Path = "pulled",
    trace_ids: Iterable[str] | str | Path | None = None,
    service: str | None = None,
    operation: str | None = None,
    query: str | None = None,
    min_duration: str | None = None,
    max_duration: str | None = None,
    start: Any = None,
    end: Any = None,
    limit: int | None = None,
    credentials: Given = None,
    ca_file: str | Path | None = None,
    concurrency: int = 4,
    attempts: int = 6,
    rounds: int = 5,
    backoff_s: float = 0.5,
    yes: bool = False,
    on_progress: Callable[[Progress], object] | None = None,
) -> Pull:
    """Pull traces from a backend into a folder that ``tracekit.read`` reads.

    Rerun with the same folder to resume an interrupted pull; completed requests are not repeated.

    Parameters
    ----------
    backend
        ``jaeger``, ``tempo``, ``zipkin``, ``clickhouse``, ``elasticsearch`` or ``s3`` (files of the collector's S3
        exporter); for AWS X-Ray: ``tk.pull_xray``.
    url
        Base URL of the server, without user and password; ``s3://BUCKET/PREFIX``.
    folder
        Folder to write the responses to.
    trace_ids
        Ids as hex digits: a list, a string separated by blanks or commas, or the ``Path`` of a file with one per line.
    service, operation
        Without ``trace_ids``: all traces with a span of this service and operation; default: of all services.
    query
        In the language of the backend: TraceQL (Tempo), ``key=value`` attributes (Jaeger), an annotation query
        (Zipkin), a condition on spans in SQL (ClickHouse), a query string of Lucene (Elasticsearch), or the layout of
        the partitions of an hour (S3, default ``year=%Y/month=%m/day=%d/hour=%H``).
    min_duration, max_duration
        Of a span, such as ``250ms``.
    start, end
        The period: anything ``pandas.Timestamp`` accepts (UTC by default), or a duration before now (``"6h"``);
        default ``end``: now.  For S3 the time of the upload, an hour more on both sides.
    limit
        Traces per request.  A window with as many is halved and asked again.
    credentials
        A callable that returns HTTP headers, or the path of a file with one ``Name: value`` per line; default: the
        lines of the environment variable ``TRACEKIT_PULL_HEADERS``.  They are sent to the host of the URL only, and are
        in no file, message or repr.  S3 uses boto3's credential chain instead.
    ca_file
        Certificates of authorities to trust instead of the default ones.
    concurrency
        Parallel requests.
    attempts, backoff_s
        Attempts per request, and the first backoff in seconds, doubled each time up to 20 s; ``Retry-After`` is obeyed
        up to 120 s.
    rounds
        Attempts per trace whose requests failed.
    yes
        Required for more than 1,000 traces; without it, the estimate is raised as a ``PullError``.
    on_progress
        Called with the progress; by default a line in a terminal.

    Returns
    -------
    Pull
        The outcome of every trace, the ledger of the windows, the folder, and ``traces``.

    Raises
    ------
    PullError
        A request failed; the responses so far are in the folder, and the same call resumes.
    ValueError
        An unknown backend, nothing to pull, or contradicting arguments.

    Notes
    -----
    The ledger says for every window how the backend chooses traces at its limit, and whether traces are missing:
    ``excluded``, ``proven`` or ``unknown``.  It is stored with the traces (column ``pull`` of ``traces.sources``), and
    ``tk.sampling`` reports it.

    Examples
    --------
    >>> pull("tempo", "http://localhost:3200", query='{ resource.service.name = "checkout" }')
    Traceback (most recent call last):
    ...
    ValueError: no trace IDs and no period: pass --ids, --trace-id or --start (Python: trace_ids= or start=)
    """
    from tracekit.pull.backend import Calls, Query  # noqa: PLC0415 - import tracekit stays fast
    from tracekit.pull.session import Selected, pull_into  # noqa: PLC0415 - likewise

    selected = Selected(trace_ids, Query(service, operation, query, min_duration, max_duration), start, end)
    calls = Calls(credentials, attempts, backoff_s, concurrency, ca_file, limit)
    return pull_into(folder, backend, url, selected, calls, rounds=rounds, is_confirmed=yes, on_progress=on_progress)
