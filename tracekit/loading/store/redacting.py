"""A store without personal data and secrets, written part by part, and searched before it gets its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tracekit.errors import RenderError
from tracekit.loading.store.read_write import writing
from tracekit.loading.store.tables import frame_of
from tracekit.redaction.apply import NOTE, joined_notes, redacted_frame
from tracekit.redaction.archive import texts_of_file
from tracekit.redaction.leftover import occurrences
from tracekit.redaction.patterns import masked
from tracekit.redaction.tables import Known, known_in
from tracekit.traces import redacted_part

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tracekit.redaction.policy import Policy
    from tracekit.traces import TraceSet


def recognised(traces: TraceSet) -> Known:
    """Return what is recognised in a part."""
    return known_in(traces.columns)


def write_redacted(
    parts: Iterable[TraceSet], frames: Mapping[str, list[dict[str, Any]]], path: Path, policy: Policy, known: Known
) -> pd.DataFrame:
    """Write parts as a store without what a policy removes, and return what was removed.

    Parameters
    ----------
    parts
        The parts.
    frames
        Rows of the sources, issues and notes of the store that they are from.
    path
        Folder of the new store.
    policy
        What becomes of personal data and secrets.
    known
        What is recognised in any part: it is replaced in all.
    """
    removed: list[pd.DataFrame] = []
    searched: set[str] = set()
    left: set[str] = set()
    with writing(path) as written:
        for part in parts:
            made, found = redacted_part(part, policy, known)
            written.part(made)
            removed.append(found.removed)
            searched |= found.nowhere
            left |= found.left
        tables = (frame_of(frames[name], name) for name in ("sources", "issues"))
        sources, issues = (redacted_frame(frame, policy, searched) for frame in tables)
        table = _summed(removed)
        notes = [(row["key"], row["value"]) for row in frames["notes"]]
        notes += [(NOTE, table.to_json(orient="records"))] * bool(len(table))
        written.finish(sources, issues, joined_notes(notes))
        _check(written.folder, searched - left, path.name)
    return table


def _summed(removed: list[pd.DataFrame]) -> pd.DataFrame:
    """Return what was removed from all parts; a value of several parts counts in each."""
    known = [frame for frame in removed if len(frame)]
    if not known:
        return pd.DataFrame()
    keys = ["kind", "where", "key", "action"]
    return pd.concat(known).groupby(keys, sort=False)[["value_count", "use_count"]].sum().reset_index()


def _check(folder: Path, values: set[str], name: str) -> None:
    """Raise if a file of a store that is being written has a removed value: it is then not written."""
    for file in sorted(one for one in folder.rglob("*") if one.is_file()):
        for text in texts_of_file(file.name, file.read_bytes()):
            for _, value in occurrences(np.frombuffer(text, np.uint8), values):
                message = f"expected no removed value in {name}, found {masked(value)} in {file.name}"
                raise RenderError(f"{message}; the store was not written: redact the sources, or choose fewer traces")
