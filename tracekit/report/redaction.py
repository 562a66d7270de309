"""What leaves in a page or file: its traces and parts without personal data and secrets, and a search of its bytes."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import numpy as np
import pandas as pd

from tracekit.errors import RenderError
from tracekit.findings import Finding, Findings
from tracekit.redaction.apply import redacted_texts
from tracekit.redaction.archive import MAGIC as ARCHIVE
from tracekit.redaction.archive import texts_of_archive
from tracekit.redaction.keys import Context, context_of
from tracekit.redaction.leftover import LEAST, occurrences
from tracekit.redaction.patterns import masked
from tracekit.redaction.policy import policy_of
from tracekit.redaction.statement import say, words_of
from tracekit.report.html_table import HtmlTable
from tracekit.report.markdown import Markdown
from tracekit.traces import TraceSet, redacted_set
from tracekit.views.markup import Markup
from tracekit.views.tkw1 import MAGIC

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tracekit.redaction.policy import Policy
    from tracekit.report.parts import Content
    from tracekit.views.embedded import Embedded

_TEXT: Final = re.compile(r">([^<>]+)<|\b(aria-label|title|alt|data-\w+)=\"([^\"]*)\"")
_PACKED: Final = re.compile(rb"[A-Za-z0-9+/]{24,}={0,2}")
_BINARY: Final = ("bdata",)  # members of figures that are numbers in base64
_HOLDERS: Final = ("source", "traces", "recording")
_LISTS: Final = (list, tuple, set, frozenset)
_CONTAINERS: Final = (*_LISTS, dict, np.ndarray)
_DEEPEST: Final = 4
_CUT: Final = "…"  # at the end of a shortened text
_PLACE: Final = "{0}{0}"  # the mark of a name that is kept
_PRIVATE: Final = 0xF0000  # characters for private use
_HEAD: Final = 40  # bytes of a longer value that are searched for: views shorten texts
_COLUMNS: Final = {"trace_id", "span_id", "parent_span_id", "exemplar_trace_id", "host_name"}
_NAMES: Final = {"service_name", "caller_service", "callee_service"}
_SERVICE: Final = "service.name"


class Outgoing:
    """Everything that one file shows, redacted by a policy.

    Parameters
    ----------
    policy
        What becomes of personal data and secrets.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.values: set[str] = {policy.secret} if policy.secret else set()
        self.names: dict[str, str] = {}
        self.removed: list[pd.DataFrame] = []
        self.is_of_store = False
        self._earlier: list[pd.DataFrame] = []
        self._sets: dict[int, tuple[TraceSet, TraceSet]] = {}

    @classmethod
    def of(cls, redact: Any) -> Outgoing | None:
        """Return what an argument ``redact`` stands for; None for no redaction."""
        policy = policy_of(redact)
        return None if policy is None else cls(policy)

    def copy(self) -> Outgoing:
        """Return one that has seen the same; what either sees from now on, the other does not know."""
        found = Outgoing(self.policy)
        found.values, found.names, found.removed = set(self.values), dict(self.names), list(self.removed)
        found.is_of_store, found._earlier, found._sets = self.is_of_store, list(self._earlier), dict(self._sets)
        return found

    @property
    def statement(self) -> str:
        """What was removed, as a sentence; of a store, only what is shown of it is searched, and counted."""
        known = [frame for frame in (*self._earlier, *self.removed) if len(frame)]
        if not known:
            where = " in what is shown of the store" * self.is_of_store
            return f"Searched for personal data and secrets{where}: none found."
        table = pd.concat(known, ignore_index=True)
        table = table.groupby(["kind", "where", "key"], sort=False)["value_count"].max().reset_index()
        where = "from what is shown of the store" if self.is_of_store else "before writing"
        return f"Personal data and secrets were removed {where}. {words_of(table)}."

    def traces(self, traces: TraceSet) -> TraceSet:
        """Return a set without personal data and secrets; the same object gives the same answer."""
        if id(traces) not in self._sets:
            found, removed, searched = redacted_set(traces, self.policy)
            self._sets[id(traces)] = traces, found
            self.values |= searched
            self.removed.append(removed)
            self._earlier.append(traces.redacted)
        return self._sets[id(traces)][1]

    def keeps(self, traces: TraceSet) -> bool:
        """Return whether the steps, sources and issues of a set leave unchanged; ``removed`` tells the rest."""
        found = self.traces(traces)
        is_same = traces.sources.equals(found.sources) and traces.issues.equals(found.issues)
        return is_same and traces.steps == found.steps

    def set_of(self, view: Any) -> Any:
        """Return a set as it may leave, and anything else unchanged."""
        return self.traces(view) if isinstance(view, TraceSet) else view

    def say(self, path: Path) -> None:
        """Warn that something was removed from what is written to a file."""
        known = [frame for frame in self.removed if len(frame)]
        if known:
            say(pd.concat(known, ignore_index=True), path)

    def keep_names(self, names: Iterable[str]) -> None:
        """Leave the names of services and callees of a store as in traces: also those that look like an address."""
        self.is_of_store = True
        of_services = context_of(_SERVICE)
        kept = [name for name in names if redacted_texts([name], self.policy, context=of_services) == [name]]
        known = sorted({name for name in kept if redacted_texts([name], self.policy) != [name]}, key=len, reverse=True)
        self.names = {name: _PLACE.format(chr(_PRIVATE + at)) for at, name in enumerate(known)}
        self.values -= {value for value in self.values if any(value in name for name in known)}

    def texts(self, texts: Sequence[str], context: Context | None = None) -> list[str]:
        """Return texts without what the policy removes, and without what was removed elsewhere in the file."""
        before = list(texts)
        after = redacted_texts(
            [self._hidden(text) for text in before], self.policy, context=context, values=self.values
        )
        after = [self._restored(text) for text in after]
        changed = sum(one != other for one, other in zip(before, after, strict=True))
        if changed:
            self.count_texts(changed)
        return after

    def count_texts(self, count: int) -> None:
        """Note that so many texts of the page were changed."""
        row = {"kind": "text", "where": "text of the page", "key": "", "value_count": count}
        self.removed.append(pd.DataFrame([row]))

    def _hidden(self, text: str) -> str:
        """Return a text with a mark for each name that is kept."""
        for name, mark in self.names.items():
            text = text.replace(name, mark)
        return text

    def _restored(self, text: str) -> str:
        """Return a text with the names instead of their marks."""
        for name, mark in self.names.items():
            text = text.replace(mark, name)
        return text

    def text(self, text: str) -> str:
        """Return one text."""
        return self.texts([text])[0]

    def learn(self, part: Any) -> Any:
        """Return a part after taking note of what is in the traces that it was computed from."""
        for name in _HOLDERS:
            traces = getattr(part, name, None)
            if isinstance(traces, TraceSet):
                self.traces(traces)
        for traces in getattr(getattr(part, "_drawing", None), "sets", ()):
            self.traces(traces)
        return part

    # ---------------------------------------------------------------- parts of a page

    def content(self, content: Content) -> Content:
        """Return a part of a page as it may leave."""
        if isinstance(content, Markup):
            return self.markup(content)
        if isinstance(content, str):
            return self.text(content)
        if isinstance(content, Markdown):
            return Markdown(self.text(content.text))
        if isinstance(content, pd.DataFrame):
            return self.frame(content)
        if isinstance(content, Findings):
            return Findings([self._finding(finding) for finding in content])
        if isinstance(content, HtmlTable):
            return replace(content, markup=self.markup(content.markup))
        return self._embedded(content)

    def frame(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a table as it may leave; the name of a column is the key of its texts."""
        out = frame.copy()
        for at in range(len(out.columns)):
            column = self._column(out.iloc[:, at], out.columns[at])
            if column is not None:
                out.isetitem(at, column.array)
        levels = [self._labels(out.columns.get_level_values(level)) for level in range(out.columns.nlevels)]
        if isinstance(out.columns, pd.MultiIndex):
            out.columns = pd.MultiIndex.from_arrays(levels, names=out.columns.names)
        else:
            out.columns = pd.Index(levels[0], name=out.columns.name)
        if not isinstance(out.index, pd.RangeIndex):
            out.index = self._index(out.index)
        return out

    def _index(self, index: pd.Index) -> pd.Index:
        """Return an index as it may leave."""
        if not isinstance(index, pd.MultiIndex):
            new = self._column(index.to_series(), index.name)
            return index if new is None else pd.Index(new, name=index.name, tupleize_cols=False)
        arrays = [index.get_level_values(level) for level in range(index.nlevels)]
        return pd.MultiIndex.from_arrays([self._index(array) for array in arrays], names=index.names)

    def _labels(self, labels: pd.Index) -> list[Any]:
        """Return the names of columns."""
        is_text = [isinstance(label, str) for label in labels]
        texts = iter(self.texts([label for label in labels if isinstance(label, str)]))
        return [next(texts) if text else label for label, text in zip(labels, is_text, strict=True)]

    def _column(self, column: pd.Series, name: Any) -> pd.Series | None:
        """Return a column of texts; None if it has none, or only ids and names of services."""
        kind = column.dtype
        is_textual = kind.kind == "O" or isinstance(kind, pd.CategoricalDtype) or pd.api.types.is_string_dtype(kind)
        if is_textual and name in _NAMES:
            return self._services(column)
        if not is_textual or name in _COLUMNS:
            return None
        values = column.astype(object)
        known = list(dict.fromkeys(value for value in values if isinstance(value, str)))
        new = self.texts(known, context_of(str(name)))
        changes = {old: text for old, text in zip(known, new, strict=True) if old != text}
        has_containers = any(isinstance(value, _CONTAINERS) for value in values)
        if not changes and not has_containers:
            return None
        made = [changes.get(value, value) if isinstance(value, str) else self._container(value) for value in values]
        return pd.Series(made, values.index, dtype=object)

    def _services(self, column: pd.Series) -> pd.Series | None:
        """Return names of services without personal data and secrets; None if they have none."""
        values = column.astype(object)
        known = list(dict.fromkeys(value for value in values if isinstance(value, str)))
        new = redacted_texts(known, self.policy, context=context_of(_SERVICE))
        changes = {old: text for old, text in zip(known, new, strict=True) if old != text}
        return values.replace(changes) if changes else None

    def _container(self, value: Any) -> Any:
        """Return a list, mapping or the like with its texts as they may leave, and anything else unchanged."""
        if isinstance(value, np.ndarray):
            return self._container(value.tolist())
        if isinstance(value, dict):
            return self._mapping(value)
        if isinstance(value, _LISTS) and any(isinstance(one, _CONTAINERS) for one in value):
            return (tuple if isinstance(value, tuple) else list)([self._container(one) for one in self.members(value)])
        return self.members(value) if isinstance(value, _CONTAINERS) else value

    def _mapping(self, value: dict[Any, Any]) -> dict[Any, Any]:
        """Return a mapping of a cell with keys and values as they may leave; keys that become equal are numbered."""
        out: dict[Any, Any] = {}
        for key, one in value.items():
            name = self.text(key) if isinstance(key, str) else key
            count = sum(str(known).partition(" #")[0] == name for known in out) if name != key else 0
            mine = f"{name} #{count + 1}" if count else name
            out[mine] = self.texts([one], context_of(str(key)))[0] if isinstance(one, str) else self._container(one)
        return out

    def _finding(self, finding: Finding) -> Finding:
        """Return a finding with its texts as they may leave."""
        texts = self.texts([finding.headline, finding.remedy, finding.code, finding.method])
        assumptions = tuple(self.texts(list(finding.assumptions)))
        names = ("headline", "remedy", "code", "method")
        changes: dict[str, Any] = dict(zip(names, texts, strict=True))
        return replace(finding, assumptions=assumptions, **changes)

    def markup(self, markup: Markup) -> Markup:
        """Return a picture or table with its texts as they may leave."""
        found = [(one, one[1] if one[1] is not None else one[3]) for one in _TEXT.finditer(markup)]
        kept = [(one, text) for one, text in found if not text.startswith("data:")]
        plain = [html.unescape(text) for _, text in kept]
        new = self._drawn(plain)
        out, at = [], 0
        for (one, _), old, text in zip(kept, plain, new, strict=True):
            group = 1 if one[1] is not None else 3
            out += [markup[at : one.start(group)], one[group] if old == text else html.escape(text)]
            at = one.end(group)
        return Markup("".join([*out, markup[at:]]))

    def _drawn(self, texts: Sequence[str]) -> list[str]:
        """Return texts of a view as they may leave; one that is shortened is judged by what it was shortened from.

        The whole text is usually in the same view, as a tooltip.  Where it is not, the rest of a match is no removed
        value: ``ledger@db.intern…`` may be the name of a host.
        """
        whole = [text for text in texts if _CUT not in text]
        new = dict(zip(whole, self.texts(whole), strict=True))
        kept = "\n".join(old for old, text in new.items() if old == text)
        cut = [text for text in texts if _CUT in text and text.partition(_CUT)[0] not in kept]
        known = set(self.values)
        new |= dict(zip(cut, redacted_texts(cut, self.policy, values=known), strict=True))
        return [self._whole(new.get(text, text)) for text in texts]

    def _whole(self, text: str) -> str:
        """Return a shortened text without the beginning of a removed value."""
        stem, cut, rest = text.partition(_CUT)
        if not cut:
            return text
        starts = {value[:LEAST] for value in self.values}
        for at in range(len(stem) - LEAST + 1):
            if stem[at : at + LEAST] in starts and any(value.startswith(stem[at:]) for value in self.values):
                return f"{stem[:at]}[removed]{rest}"
        return text

    def _embedded(self, view: Embedded) -> Embedded:
        """Return a view with the texts of its data, title and picture as they may leave."""
        picture = None if view.picture is None else self.markup(view.picture)
        if view.data.startswith(MAGIC):  # a waterfall: made of redacted traces
            return replace(view, title=self.text(view.title), picture=picture)
        data = json.dumps(self.members(json.loads(view.data)), ensure_ascii=False, allow_nan=False)
        return replace(view, title=self.text(view.title), picture=picture, data=data.encode("utf-8", "replace"))

    def members(self, value: Any) -> Any:
        """Return a JSON value with its texts as they may leave; texts that are JSON themselves too."""
        known = sorted(set(_texts_in(value)))
        new = dict(zip(known, self._drawn(known), strict=True))
        return _replaced(value, new)

    # ---------------------------------------------------------------- the finished file

    def check(self, data: bytes, name: str, *, known: str = "") -> None:
        """Raise if finished bytes contain a removed value; one in ``known`` was said by whoever reads them."""
        values = {form: value for value in self.values if value not in known for form in _forms(value)}
        for layer in unpacked(data):
            for _, form in occurrences(np.frombuffer(layer, np.uint8), values):
                shown = masked(values[form])
                raise RenderError(
                    f"expected no removed value in {name}, found {shown}; the file was not written: remove the part"
                    " that contains it, make it from traces.redact(), or pass redact=None to write everything"
                )


def unpacked(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """Yield bytes, and all data that is embedded in them as base64: decompressed, and of archives the texts."""
    yield data
    if depth == _DEEPEST:
        return
    for found in _PACKED.finditer(data):
        for inner in _decoded(found[0]):
            yield from unpacked(inner, depth + 1)


def _decoded(text: bytes) -> list[bytes]:
    """Return what base64 contains, decompressed; nothing if it is neither text nor compressed."""
    try:
        raw = base64.b64decode(text + b"=" * (-len(text) % 4))
        if raw.startswith(b"\x1f\x8b"):
            return [zlib.decompress(raw, wbits=31)]
        if raw.startswith(ARCHIVE):
            return list(texts_of_archive(raw))
        raw.decode("utf-8")
    except (binascii.Error, zlib.error, UnicodeDecodeError):
        return []
    return [raw]


def _forms(value: str) -> Iterator[str]:
    """Yield a value as HTML, JSON and URLs spell it, and the beginning of a long one."""
    plain = " ".join(value.split())
    for one in dict.fromkeys((value, plain)):
        cut = one if len(one) <= _HEAD else one[:_HEAD]
        yield from {cut, html.escape(cut), html.escape(cut, quote=False), cut.replace("'", "&#39;"), quote(cut)}
        yield from (json.dumps(cut, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))


def _texts_in(value: Any) -> Iterator[str]:
    """Yield every text of a JSON value; not numbers in base64."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            inner = _json_in(item)
            if inner is None:
                yield item
            else:
                waiting.append(inner)
        elif isinstance(item, dict):
            waiting += [one for key, one in item.items() if key not in _BINARY]
        elif isinstance(item, _LISTS):
            waiting += item


def _json_in(text: str) -> Any:
    """Return the object that a text contains as JSON; None if it is another text."""
    if not text.startswith("{"):
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


def _replaced(value: Any, new: dict[str, str]) -> Any:
    """Return a JSON value with other texts."""
    if isinstance(value, str):
        inner = _json_in(value)
        return new.get(value, value) if inner is None else json.dumps(_replaced(inner, new), allow_nan=False)
    if isinstance(value, dict):
        return {key: one if key in _BINARY else _replaced(one, new) for key, one in value.items()}
    if not isinstance(value, _LISTS):
        return value
    return (tuple if isinstance(value, tuple) else type(value))([_replaced(one, new) for one in value])
