"""Reading profiles: the format is found in the content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracekit.errors import LoadError
from tracekit.loading.opening.container import open_bytes
from tracekit.loading.opening.sources import expand
from tracekit.loading.profiles.collapsed import is_collapsed, read_collapsed
from tracekit.loading.profiles.collect import Collector
from tracekit.loading.profiles.otlp import is_otlp, read_otlp
from tracekit.loading.profiles.otlp_protobuf import is_otlp_protobuf, read_otlp_protobuf
from tracekit.loading.profiles.pprof import is_pprof, read_pprof

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.loading.opening.source import Source
    from tracekit.profile_samples import ProfileSamples

_PIECE: Final = 1 << 20
_HEAD: Final = 1 << 16
_TEXT: Final = frozenset(range(32)) - set(b"\t\n\r\x0b\x0c")
_READERS: Final[dict[str, Callable[[bytes, Collector, str | None], None]]] = {
    "pprof": read_pprof,
    "otlp": read_otlp,
    "otlp-protobuf": read_otlp_protobuf,
    "collapsed": read_collapsed,
}


def read_profile(source: Any, *, value: str | None = None, strict: bool = False) -> ProfileSamples:
    """Read profiles whose samples carry ids of spans: pprof, OTLP profiles (JSON, protobuf), or collapsed stacks.

    Parameters
    ----------
    source
        Any source of ``tk.read``: a path, a glob, a folder, bytes, a list; plain, gzip or zstd.
    value
        Type of the values to read, such as ``"cpu"``; default: ``wall``, ``cpu`` or ``samples``, the first that there
        is, otherwise the default or last type of the profile. For collapsed stacks: what their counts are.
    strict
        Raise at the first record that cannot be read fully.

    Returns
    -------
    ProfileSamples
        ``.issues`` lists the records that could not be read fully, with their place.

    Raises
    ------
    LoadError
        A source is not a profile, nothing of it could be read, its values are of another type than those of earlier
        sources, or, with ``strict``, a record is invalid.

    Notes
    -----
    Ids are labels (pprof), links or attributes (OTLP) or leading frames (collapsed stacks) named ``trace_id``,
    ``span_id``, and ``local_root_span_id`` or ``profile_id`` for the local root span, also with spaces, dots or without
    underscore. Values are hex of full length, bytes, numbers or decimal digits, as Datadog writes them.

    Examples
    --------
    >>> samples = tk.read_profile(b"span_id=00000000000000b2;main;work 3")
    >>> samples
    ProfileSamples(1 sample from collapsed, value: samples in count, 1 with a span id)
    """
    collector = Collector(strict=strict)
    for one in expand(source):
        _read_one(one, collector, value)
    try:
        return collector.samples()
    except ValueError as error:
        raise LoadError(f"{collector.source}: {error}; read fewer profiles at once") from error


def _read_one(source: Source, collector: Collector, value: str | None) -> None:
    """Add the samples of one source."""
    with open_bytes(source, is_text=False) as stream:
        data = b"".join(iter(lambda: stream.read(_PIECE), b""))
    collector.begin(source.uri)
    if not stream.complete:
        collector.issue(0, f"the source ends early: {stream.stop_reason}")
    name = _format_of(data)
    if name is None:
        found = f"{data[:40]!r}" if data else "0 bytes"
        message = f"{source.uri}: expected a profile (pprof, OTLP profiles, collapsed stacks), found {found}"
        raise LoadError(f"{message}; check what wrote it", source=source.uri)
    try:
        _READERS[name](data, collector, value)
    except ValueError as error:
        message = f"{source.uri}: expected {name} that can be read: {error}"
        raise LoadError(f"{message}; export the profile again", source=source.uri) from error
    collector.end(name)


def _format_of(data: bytes) -> str | None:
    """Return the format of some content."""
    piece = data[:_HEAD]
    if not _TEXT & set(piece):
        head = piece.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
        if is_otlp(head):
            return "otlp"
        if not head.startswith(("{", "<")) and is_collapsed(head):
            return "collapsed"
        return None
    if is_otlp_protobuf(data):
        return "otlp-protobuf"
    return "pprof" if is_pprof(data) else None
