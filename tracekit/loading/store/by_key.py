"""Attributes by key: in a file, those of a block of rows are sorted by key, so that few keys are few bytes.

Each has the row of its owner and its place among the attributes of that row, from which their order is restored.
A frequent key has row groups of its own; the others share some.  (Earlier versions had all keys share them.)
"""

from __future__ import annotations

import itertools
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tracekit.ragged import OutOfOrder, Ragged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracekit.columns import Array, KeyValues
    from tracekit.errors import LoadError
    from tracekit.loading.store.part import PartFiles

_BLOCK = 65_536  # rows whose attributes are sorted together: the least that a short window has to read
_GROUP = 65_536  # attributes of a row group of several keys, if its block has as many
_OWN = 4_096  # a key of a block with as many attributes has a row group of its own
_AT_ONCE = 32  # row groups that are brought into rows together


# -------------------------------------------------------------------- writing


def keyed(table: Ragged, kv: KeyValues) -> tuple[dict[str, Array], Array]:
    """Return the columns of a table of attributes sorted by key in blocks, and where its row groups end.

    Examples
    --------
    >>> from tracekit.loading.building.pool import Attributes
    >>> pool = Attributes()
    >>> codes = np.array([pool.kv("tenant", "blue"), pool.kv("retries", 2), pool.kv("tenant", "red")], np.int32)
    >>> columns, ends = keyed(Ragged(np.array([0, 2, 3]), codes), pool.table()[0])
    >>> columns["key"].tolist(), columns["row"].tolist(), columns["place"].tolist(), ends.tolist()
    ([0, 0, 1], [0, 1, 0], [0, 0, 1], [3])
    """
    key = kv.key.astype(np.min_scalar_type(max(len(kv.keys), 1)))
    found: dict[str, list[Array]] = {"row": [], "key": [], "place": [], "kv": []}
    ends = [0]
    for low in range(0, len(table), _BLOCK):
        block = table.part(slice(low, min(low + _BLOCK, len(table))))
        rows = block.owners()
        own = key[block.codes]
        order = np.argsort(own, kind="stable")
        of_block = {
            "key": own,
            "row": rows + low,
            "place": np.arange(len(rows)) - block.offsets[rows],
            "kv": block.codes,
        }
        for name, values in of_block.items():
            found[name].append(values[order].astype(np.int32))
        ends += _group_ends(found["key"][-1], ends[-1])
    empty = np.zeros(0, np.int32)
    return {name: np.concatenate([empty, *values]) for name, values in found.items()}, np.array(ends[1:] or [0])


def _group_ends(keys: Array, before: int) -> list[int]:
    """Return where the row groups of a block end, each where its last key ends."""
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)]).tolist()
    ends, done = [], 0
    for start, end in itertools.pairwise([*starts, len(keys)]):
        is_own = end - start >= _OWN
        if is_own and start > done:
            ends.append(before + start)
        if is_own or end - done >= _GROUP or end == len(keys):
            ends.append(before + end)
            done = end
    return ends


# -------------------------------------------------------------------- reading


class StoredAttributes(OutOfOrder):
    """The attributes of a table in the files of a part: looked up by key there, brought into rows if that is asked for.

    ``in_file``: where they are; None for a copy with other codes.
    """

    __slots__ = ("in_file",)

    @classmethod
    def stored(cls, in_file: InFile) -> StoredAttributes:
        """Return the attributes, of which nothing is read."""
        made = cls.__new__(cls)
        object.__setattr__(made, "in_file", in_file)
        return made

    def __getattr__(self, name: str) -> Any:
        """Return what an empty slot is for: ``offsets`` or ``codes`` on first use."""
        if name == "in_file":
            return None
        if name not in Ragged.__dataclass_fields__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        made = self.in_file.by_row()
        for column in Ragged.__dataclass_fields__:
            object.__setattr__(self, column, getattr(made, column))
        return getattr(made, name)

    def __len__(self) -> int:
        return Ragged.__len__(self) if self.in_file is None else self.in_file.count

    def stored_of(self, key: int) -> tuple[Array, Array] | None:
        """Return owner rows and codes of the attributes with a key, None if they are not stored by key."""
        return None if self.in_file is None else self.in_file.of(key)

    def pairs(self) -> tuple[Array, Array]:
        """Return row and code of every attribute, in any order."""
        return Ragged.pairs(self) if self.in_file is None else self.in_file.pairs


class InFile:
    """A table of attributes as it is in the files of a part.

    Parameters
    ----------
    files
        The part's.
    name
        Of the table.
    owner
        The table whose rows have the attributes.
    """

    def __init__(self, files: PartFiles, name: str, owner: str) -> None:
        self._files, self._name, self._owner = files, name, owner
        self.count = files.row_count(owner)
        self._runs: dict[int, dict[int, tuple[Array, Array]]] = {}  # rows and codes by key, by row group of several
        self._own: dict[int, tuple[Array, Array]] = {}  # likewise in memory, of keys that were asked for

    @cached_property
    def _limits(self) -> list[tuple[int, int, int]]:
        """The row groups that are read, each with its lowest and highest key."""
        return self._files.limits_of(self._name, "key")

    def of(self, key: int) -> tuple[Array, Array]:
        """Return owner rows in memory and codes of the attributes with a key."""
        if key not in self._own:
            wanted = [(number, low == high) for number, low, high in self._limits if low <= key <= high]
            own, shared = ([number for number, is_own in wanted if is_own is kind] for kind in (True, False))
            self._read(shared)
            runs = [self._runs[number][key] for number in shared if key in self._runs[number]]
            rows, codes = self._in_memory(*_joined([*runs, *([self._alone(key, own)] if own else [])]))
            self._own[key] = rows, self._files.own_codes(codes)
        return self._own[key]

    def _alone(self, key: int, numbers: list[int]) -> tuple[Array, Array]:
        """Return rows and codes of the attributes of row groups of one key."""
        rows, codes = self._columns(["row", "kv"], numbers)
        if (self._files.key_of[codes] != key).any():
            raise self._of_others()
        return rows, codes

    def _read(self, numbers: list[int]) -> None:
        """Read keys, rows and codes of row groups together, unless they were, and keep rows and codes by key."""
        numbers = [number for number in numbers if number not in self._runs]
        if not numbers:
            return
        columns = self._columns(["key", "row", "kv"], numbers)
        ends = np.cumsum(self._files.sizes_of(self._name, numbers))[:-1]
        for number, keys, rows, codes in zip(numbers, *(np.split(column, ends) for column in columns), strict=True):
            first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
            if (keys[first[1:]] < keys[first[:-1]]).any():
                raise self._files.broken(self._name, "attributes in the order of their keys", "others")
            cuts = zip(keys[first].tolist(), itertools.pairwise([*first.tolist(), len(keys)]), strict=True)
            self._runs[number] = {key: (rows[low:high], codes[low:high]) for key, (low, high) in cuts}

    @cached_property
    def pairs(self) -> tuple[Array, Array]:
        """Owner row in memory and code of every attribute, key by key: those of each key are then parts of them."""
        self._read([number for number, low, high in self._limits if low != high])
        keys = sorted({low for _, low, _ in self._limits} | {key for runs in self._runs.values() for key in runs})
        found = [self.of(key) for key in keys]
        rows, codes = _joined(found)
        cuts = itertools.pairwise(np.cumsum([0, *(len(own) for own, _ in found)]).tolist())
        self._own = {key: (rows[low:high], codes[low:high]) for key, (low, high) in zip(keys, cuts, strict=True)}
        self._runs = {number: {} for number in self._runs}
        return rows, codes

    def used(self) -> Iterator[Array]:
        """Yield the codes of the attributes whose rows are read, as they are in the file."""
        if self._files.reads_traces:
            yield from (codes for _, _, codes in self._few)
            return
        numbers = [number for number, *_ in self._limits]
        for low in range(0, len(numbers), _AT_ONCE):
            yield self._in_memory(*self._files.values_of(self._name, ["row", "kv"], numbers[low : low + _AT_ONCE]))[1]

    def by_row(self) -> Ragged:
        """Return the table in the order of memory."""
        if self._files.reads_traces:
            rows = np.concatenate([np.zeros(0, np.int32), *(own for own, _, _ in self._few)])
        else:
            rows = self._in_memory(*self._columns(["row"], [number for number, *_ in self._limits]))[0]
        counts = np.bincount(rows, minlength=self.count)
        made = Ragged.from_counts(counts, np.full(int(counts.sum()), -1, np.int32))
        for own, place, codes in self._few if self._files.reads_traces else self._places():
            at = made.offsets[own] + place
            if len(at) and at.max() >= len(made.codes):
                raise self._files.broken(self._name, "attributes at the places of their rows", "one behind all of them")
            made.codes[at] = self._files.own_codes(codes)
        if (made.codes < 0).any():
            raise self._files.broken(self._name, "one attribute at each place of a row", "several at one")
        return made

    @cached_property
    def _few(self) -> list[list[Array]]:
        """What ``_places`` yields, where only some traces are read: few attributes of many, so that they are kept."""
        return list(self._places())

    def _places(self) -> Iterator[list[Array]]:
        """Yield row in memory, place in it, and code in the file of the attributes whose rows are read."""
        numbers = [number for number, *_ in self._limits]
        for low in range(0, len(numbers), _AT_ONCE):
            _, *columns = self._columns(["key", "row", "place", "kv"], numbers[low : low + _AT_ONCE])
            yield self._in_memory(*columns)

    def _columns(self, names: list[str], numbers: list[int]) -> list[Array]:
        """Return columns of row groups; LoadError if attributes are not of the keys that they are sorted by."""
        found = self._files.values_of(self._name, names, numbers)
        if "key" in names and (self._files.key_of[found[names.index("kv")]] != found[names.index("key")]).any():
            raise self._of_others()
        return found

    def _of_others(self) -> LoadError:
        """Return the LoadError for attributes that are not of the keys that they are sorted by."""
        return self._files.broken(self._name, "the keys of the attributes", "others")

    def _in_memory(self, rows: Array, *columns: Array) -> list[Array]:
        """Return rows in memory, and columns, of the attributes whose rows are read."""
        if self._new_row is None:
            return [rows, *columns]
        own = self._new_row[rows]
        if self._files.chosen(self._owner).file_rows is None:
            return [own, *columns]
        is_read = own >= 0
        return [values[is_read] for values in (own, *columns)]

    @cached_property
    def _new_row(self) -> Array | None:
        """The row in memory of each row of the owner in the file, None if it is the same."""
        found = self._files.new_row(self._owner)
        return None if found is None else found.astype(np.int32)


def _joined(runs: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Return rows and codes of several row groups."""
    if len(runs) == 1:
        return runs[0]
    rows, codes = (np.concatenate([np.zeros(0, np.int32), *(run[at] for run in runs)]) for at in range(2))
    return rows, codes
