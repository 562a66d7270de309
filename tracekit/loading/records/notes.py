"""Notes on the bytes of a source, made before the spans are known.

The reader turns a ``Note`` into a row of the ledger (``loading.building.ledger``), which puts the code
and the name of the source in front of the message.
"""

from __future__ import annotations

from dataclasses import dataclass

EXCERPT_BYTES = 500


@dataclass(frozen=True, slots=True)
class Note:
    """One note on the bytes of a source.

    Parameters
    ----------
    code
        Code of the issue catalogue.
    severity
        info, warn or error.
    action
        What was done: accepted, repaired, quarantined or aborted.
    message
        Expected, found, done, what to do next; without the code and the name of the source.
    byte_offset
        Where, in the decoded source (in the record, for notes of ``parse``); None for the source as a whole.
    raw
        At most 500 bytes of what was found.
    """

    code: str
    severity: str
    action: str
    message: str
    byte_offset: int | None = None
    raw: bytes = b""


def excerpt_at(data: bytes, position: int) -> bytes:
    """Return at most 500 bytes of the data: its beginning, or the surroundings of a position further on."""
    start = 0 if position < EXCERPT_BYTES // 2 else position - EXCERPT_BYTES // 2
    return data[start : start + EXCERPT_BYTES]


def nul_note(count: int, offset: int) -> Note:
    """Return the note on a run of NUL bytes between records."""
    message = f"expected records, found {count:,} NUL bytes (a sparse or rotated file); skipped"
    return Note("ENC_NUL", "warn", "repaired", message, offset)
