"""Reading the same in both lanes, of any format, as lines or as a document."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from made_sets import content

from tracekit.errors import TracekitError
from tracekit.loading import native, read, reading
from tracekit.loading.records import JsonPull, json_pull

AT_ONCE = 250
EXPORTS = Path(__file__).parents[4] / "shared" / "data" / "exports"


def content_in(lane: str, data: object, *, as_document: bool | None = None) -> object:
    """Return the content as one lane reads it, or the error; None leaves the shape to be recognised."""
    shape = mock.patch.object(reading, "shape", return_value="document" if as_document else "lines")
    with mock.patch.dict(os.environ, {native.SWITCH: lane}):
        try:
            if as_document is None:
                return content(read(data, time_unit="ns", progress=False))
            with shape:
                return content(read(data, time_unit="ns", progress=False))
        except (ValueError, TracekitError) as error:
            return str(error)


def narrow(monkeypatch: Any, window: int) -> None:
    """Read documents with a small window."""
    monkeypatch.setattr(JsonPull.__init__, "__kwdefaults__", JsonPull.__init__.__kwdefaults__ | {"window": window})
    monkeypatch.setattr(json_pull, "_AHEAD", max(window // 4, 50))
    monkeypatch.setattr(json_pull, "_MOST_AHEAD", window)


def differ(data: object, *, as_document: bool | None = None) -> bool:
    """Return whether the lanes read something differently."""
    made = (content_in(lane, data, as_document=as_document) for lane in native.LANES)
    return next(made) != next(made)


def differences(
    numbers: range, mutated: Callable[[int], bytes], good: bytes, document: Callable[[list[bytes]], bytes]
) -> Iterator[int]:
    """Yield the numbers of records that the lanes do not read alike, alone or with good ones around them.

    ``document`` makes one document of some records.
    """
    made = {number: mutated(number) for number in numbers}
    if differ(b"\n".join([good, *made.values(), good]), as_document=False):
        alone = [number for number, one in made.items() if differ(b"\n".join([good, one]), as_document=False)]
        yield from alone or [numbers.start]
    for start in range(0, len(made), 25):  # few: damage ends a document
        some = list(made)[start : start + 25]
        if differ(document([good, *(made[number] for number in some), good]), as_document=True):
            yield some[0]


def run(
    first: int, count: int, mutated: Callable[[int], bytes], good: bytes, document: Callable[[list[bytes]], bytes]
) -> int:
    """Compare many records; return how many differ."""
    found = 0
    for start in range(first, first + count, AT_ONCE):
        some = range(start, min(start + AT_ONCE, first + count))
        for number in differences(some, mutated, good, document):
            found += 1
            print(f"mutated({number}) differs: {mutated(number)[:300]!r}", flush=True)  # noqa: T201 - a program
    print(f"{count:,} records, {found} differ", flush=True)  # noqa: T201 - likewise
    return found
