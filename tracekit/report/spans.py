"""The spans of a report inside of its page, so that its claims can be computed again from nothing but the page.

A zip archive with a Parquet store for the traces and one for the baseline, and the other inputs of the claims (log
lines, request counts, rules, deployments, goals), as base64 in a ``template`` element, whose content a browser neither
shows nor runs.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import tempfile
import zipfile
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.errors import LoadError, RenderError, TracekitError
from tracekit.loading import read
from tracekit.loading.checksum import checksum
from tracekit.loading.store.tables import check_decoded_size, size_in_memory
from tracekit.report.embedded_inputs import files_of, inputs_in, left_out
from tracekit.report.inputs import NO_INPUTS, Inputs
from tracekit.text import plural, short_names, size
from tracekit.traces import TraceSet
from tracekit.views.markup import Markup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracekit.columns import Columns
    from tracekit.report.sides import Sides

LIMIT: Final = 25_000_000  # bytes of the archive
UNPACKED: Final = 500_000_000  # bytes of its tables when they are read
_TRACES, _BASELINE, _INPUTS = "traces", "baseline", "inputs"
_BLOCK: Final = re.compile(r'<template id="tracekit-spans" data-digest="(\w+)">([^<]*)</template>')
_MARKED: Final = re.compile(r"<template\b[^>]*\btracekit-spans\b", re.IGNORECASE)
_MEMBER: Final = re.compile(rf"(?:{_TRACES}|{_BASELINE}|{_INPUTS})/(?:[\w-]+/)?[\w-]+\.(?:parquet|json)")
_MEMBERS: Final = 10_000
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_OWN_BASELINES: Final = ("split", "baseline_period")  # choose a baseline from the recording


class Embedded(NamedTuple):
    """Spans as a page has them.

    Parameters
    ----------
    element
        The element of the page.
    statement
        What it is, for the reader of the page.
    """

    element: Markup
    statement: str


class Spans(NamedTuple):
    """What was in a page.

    Parameters
    ----------
    traces, baseline
        The traces, and their baseline if it was given.
    inputs, left_out
        What was given beside them, and the names of what no file can hold.
    is_as_written
        Whether they are the bytes that were written.
    """

    traces: TraceSet
    baseline: TraceSet | None
    inputs: Inputs
    left_out: tuple[str, ...]
    is_as_written: bool


def embedded_spans(sides: Sides, inputs: Inputs = NO_INPUTS, *, is_redacted: bool) -> Embedded:
    """Return the element of a page with the spans and the other inputs that it was made from.

    Parameters
    ----------
    sides
        The traces and the baseline as they may leave.
    inputs
        What was given beside them, as it may leave.
    is_redacted
        Whether personal data and secrets were removed, or searched for and not found.

    Raises
    ------
    RenderError
        More than 25 MB, more than 500 MB in memory, or a store.
    """
    if not isinstance(sides.recording, TraceSet) or not isinstance(sides.baseline, TraceSet | None):
        raise RenderError(
            "expected traces in memory to embed, found a store: report on store.sample(spans=...).load(), or leave"
            " embed= out and verify with the store"
        )
    sets = _sets(sides)
    raw = _archive(sets, files_of(inputs))
    what = _contents(sets, inputs)
    if len(raw) > LIMIT:
        raise RenderError(
            f"expected at most {size(LIMIT)} of spans to embed, found {size(len(raw))} ({what}):"
            " choose fewer traces, or leave embed= out and keep the sources for tk.verify"
        )
    if (unpacked := _unpacked(raw)) > UNPACKED:
        raise RenderError(
            f"expected spans to embed of at most {size(UNPACKED)} in memory, found {size(unpacked)}"
            f" ({what}): choose fewer traces, or leave embed= out and keep the sources for tk.verify"
        )
    text = base64.b64encode(raw).decode("ascii")
    statement = _statement(sides, what, size(len(text)), left_out(inputs), is_redacted=is_redacted)
    element = f'<template id="tracekit-spans" data-digest="{_digest(text)}">{text}</template>'
    return Embedded(Markup(element), statement)


def stated_again(page: str, sides: Sides, inputs: Inputs, *, is_redacted: bool) -> Embedded | None:
    """Return the spans that a page has, with what it has to say about them; None if it has none.

    Parameters
    ----------
    page
        The text of the page.
    sides, inputs, is_redacted
        As for ``embedded_spans``, of the page that is rendered again.
    """
    block = _BLOCK.search(page)
    if block is None or not isinstance(sides.recording, TraceSet):
        return None
    length = size(len(block[2]))
    contents = _contents(_sets(sides), inputs)
    statement = _statement(sides, contents, length, left_out(inputs), is_redacted=is_redacted)
    return Embedded(Markup(block[0]), statement)


def _sets(sides: Sides) -> dict[str, TraceSet]:
    """Return the traces to embed, and the baseline unless it is a part of them."""
    sets = {_TRACES: sides.recording, _BASELINE: None if _is_part(sides) else sides.baseline}
    return {name: traces for name, traces in sets.items() if isinstance(traces, TraceSet)}


def without_spans(page: str) -> str:
    """Return a page without the spans in it; their element stays."""
    return _BLOCK.sub('<template id="tracekit-spans"></template>', page, count=1)


_CLAIMS: Final = "every claim of the first screen and findings"
_SECTIONS: Final = {"slo": "Service level objective", "prices": "Cost"}
_NAMES: Final = {
    "rules": "sampling rules", "deployments": "deployments", "slo": "the objective", "prices": "prices",
}  # fmt: skip


def _contents(sets: Mapping[str, TraceSet], inputs: Inputs) -> str:
    """Return what is embedded, in words: spans, log lines and so on."""
    found = [plural(sum(len(traces.columns.spans) for traces in sets.values()), "span")]
    found += [] if inputs.logs is None else [plural(len(inputs.logs.frame), "log line")]
    found += [] if inputs.requests is None else [plural(len(inputs.requests.frame), "request count")]
    missing = left_out(inputs)
    return ", ".join([*found, *(name for key, name in _NAMES.items() if key in inputs.given and key not in missing)])


def _statement(sides: Sides, contents: str, length: str, missing: Sequence[str], *, is_redacted: bool) -> str:
    """Return what the page contains, what that proves, and what it does not."""
    claims = "every claim of this postmortem" if "postmortem" in sides.asked else _CLAIMS
    sections = " and ".join(_SECTIONS[name] for name in missing)
    given = f", except those of the sections {sections}, for which {' and '.join(missing)} must be given again"
    kind = "redacted spans" if is_redacted else "spans"
    parts = [
        f"This file contains the {kind} that its claims were computed from ({contents}, {length}): tracekit verify",
        f" FILE computes {claims} again{given * bool(missing)}.",
        " That shows that the claims follow from these spans, not that these spans are what was recorded.",
        " Claims are about the redacted spans; what redaction removed cannot be verified." * is_redacted,
    ]
    return "".join(parts)


def _is_part(sides: Sides) -> bool:
    """Return whether the baseline is a part of the recording."""
    is_chosen = any(name in sides.asked for name in _OWN_BASELINES)
    is_found = "investigate" in sides.asked and _BASELINE not in sides.inputs
    both = sides.baseline, sides.recording
    if not all(isinstance(side, TraceSet) for side in both) or not (is_chosen or is_found):
        return False
    before, recording = (side.trace_ids for side in both if isinstance(side, TraceSet))
    return bool(np.isin(before, recording).all())


def _archive(sets: Mapping[str, TraceSet], inputs: Mapping[str, bytes]) -> bytes:
    """Return stores of sets of traces, and files of inputs, as a zip archive, reproducibly.

    Names of sources are without their folders.
    """
    out = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, traces in sets.items():
            TraceSet(_without_folders(traces), forest=traces.forest, weights=traces.weights).save(Path(folder) / name)
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                inside = path.relative_to(folder).as_posix()
                archive.writestr(zipfile.ZipInfo(inside, _EPOCH), path.read_bytes())
        for name, data in inputs.items():
            archive.writestr(zipfile.ZipInfo(f"{_INPUTS}/{name}", _EPOCH), data)
    return out.getvalue()


def _without_folders(traces: TraceSet) -> Columns:
    """Return the columns of traces with sources, and messages about them, without the folders of the files."""
    sources, issues = traces.columns.sources, traces.columns.issues
    long = sources["uri"].astype(str).tolist()
    short = short_names(long)
    messages = [
        message.replace(long[at], short[at]) if 0 <= at < len(long) else message
        for at, message in zip(issues["source_id"].astype(int), issues["message"].astype(str), strict=True)
    ]
    named = issues.assign(message=pd.Series(messages, issues.index, dtype=issues["message"].dtype))
    return replace(traces.columns, sources=sources.assign(uri=short), issues=named)


def spans_in(page: str, name: str) -> Spans | None:
    """Return the spans in a page; None if it has none.

    Parameters
    ----------
    page
        The text of the page.
    name
        Its name, for messages.

    Raises
    ------
    TracekitError
        The spans cannot be read: they were damaged or edited.
    """
    found = len(_MARKED.findall(page))
    if not found:
        return None
    block = _BLOCK.search(page)
    if block is None or found > 1:
        what = f"{found:,} of them" if found > 1 else "one that is cut off or edited"
        raise TracekitError(f"expected one template element with the spans of a report, found {what} in {name}")
    try:
        raw = base64.b64decode(block[2], validate=True)
        sets, inputs, missing = _read(raw)
    except _DAMAGES as error:
        raise TracekitError(f"expected spans of a report to read, found damaged ones in {name}: {error}") from error
    return Spans(sets[_TRACES], sets.get(_BASELINE), inputs, missing, _digest(block[2]) == block[1])


_DAMAGES: Final = (
    binascii.Error, zipfile.BadZipFile, LoadError, OSError, ValueError, RuntimeError, EOFError, LookupError,
    ArithmeticError,
)  # fmt: skip


_Contents = tuple[dict[str, TraceSet], Inputs, tuple[str, ...]]


def _read(raw: bytes) -> _Contents:
    """Return the sets and inputs in an archive; only files of a store are unpacked, into a folder of their own."""
    if len(raw) > LIMIT:
        raise ValueError(f"expected at most {size(LIMIT)}, found {size(len(raw))}")
    with tempfile.TemporaryDirectory() as folder:
        try:
            return _unpacked_into(Path(folder), raw)
        except _DAMAGES as error:  # without the folder, which the reader of the page does not know
            raise ValueError(str(error).replace(f"{folder}/", "").replace(folder, "the archive")) from None


def _unpacked_into(folder: Path, raw: bytes) -> _Contents:
    """Return the sets and inputs in an archive, whose stores are written into a folder."""
    inputs: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = archive.infolist()
        strange = [one for one in members if not _MEMBER.fullmatch(one.filename)]
        if strange or len(members) > _MEMBERS or any(one.compress_type != zipfile.ZIP_STORED for one in members):
            raise ValueError("expected uncompressed files of a Parquet store, found other ones")
        if len({one.filename for one in members}) < len(members):
            raise ValueError("expected files of different names, found two of one name")
        if (unpacked := _unpacked(raw)) > UNPACKED:
            raise ValueError(f"expected at most {size(UNPACKED)} of tables in memory, found {size(unpacked)}")
        left = UNPACKED
        for one in members:
            data = archive.read(one)
            left -= check_decoded_size(data, left) if one.filename.endswith(".parquet") else 0
            top, _, name = one.filename.partition("/")
            if top == _INPUTS:
                inputs[name] = data
                continue
            target = folder / one.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    names = [name for name in (_TRACES, _BASELINE) if (folder / name).is_dir()]
    if _TRACES not in names:
        raise ValueError("expected a store of the traces in the archive, found none")
    return {name: _whole(read(folder / name, progress=False)) for name in names}, *inputs_in(inputs)


def _unpacked(raw: bytes) -> int:
    """Return the bytes that the tables of an archive need in memory, by their footers: nothing else is read."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        names = {one for one in archive.namelist() if one.endswith(".parquet")}
        return sum(size_in_memory(archive.read(name)) for name in names)


def _whole(traces: TraceSet) -> TraceSet:
    """Return traces of which every table was read, and every weight is a number: damage is found here, not later."""
    checksum(traces)
    value = traces.weights.value
    if not (np.isfinite(value) & (value >= 0)).all():
        raise ValueError("expected weights of 0 or more, found others")
    return traces


def _digest(text: str) -> str:
    """Return a digest of the spans as they are written."""
    return blake2b(text.encode("ascii", "replace"), digest_size=16).hexdigest()
