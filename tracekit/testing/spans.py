"""The objects of the fixture ``tracekit_traces``: the spans of a test, and those of its baseline."""

from __future__ import annotations

import re
from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from tracekit.analysis.compare.compute import compare
from tracekit.errors import TracekitError
from tracekit.loading import read
from tracekit.testing.encode import request_of
from tracekit.text import plural
from tracekit.wildcards import compiled

if TYPE_CHECKING:
    from pathlib import Path

    from tracekit.testing.recorder import Recorder
    from tracekit.traces import TraceSet

FOLDER = "__tracekit__"
UPDATE = "--tracekit-update"
_LONGEST = 80  # characters of a test's name in a file name
_SHOWN = 10


class Spans:
    """Spans that can be counted.

    Parameters
    ----------
    traces
        The spans as a TraceSet.

    Examples
    --------
    >>> spans = Spans(shop)
    >>> spans.calls("POST *"), spans.calls("POST *", service_name="ledger")
    (13, 5)
    """

    def __init__(self, traces: TraceSet) -> None:
        self._traces = traces

    @property
    def traces(self) -> TraceSet:
        """The spans as a TraceSet."""
        return self._traces

    def calls(self, name: str, *, service_name: str = "*") -> int:
        """Return the number of spans with a name, and of a service; both may contain ``*`` and ``?``."""
        spans = self.traces.spans
        names, services = compiled(name), compiled(service_name)
        pairs = zip(spans["name"].astype(object), spans["service_name"].astype(object), strict=True)
        return sum(bool(names.fullmatch(str(one)) and services.fullmatch(str(service))) for one, service in pairs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.traces!r})"


class SpansUnderTest(Spans):
    """The spans that ended since the test began, in this process.

    Parameters
    ----------
    recorder
        Records the spans.
    path
        The file of the baseline.
    update
        Whether the baseline is written instead of read.
    """

    def __init__(self, recorder: Recorder, path: Path, *, update: bool) -> None:
        self.path = path
        self._recorder = recorder
        self._update = update
        self._read: tuple[int, TraceSet] | None = None

    @property
    def traces(self) -> TraceSet:
        """The spans so far as a TraceSet; a span is here when it has ended."""
        spans = self._recorder.spans()
        if self._read is None or self._read[0] != len(spans):
            self._read = len(spans), read(request_of(spans), format="otlp")
        return self._read[1]

    @property
    def baseline(self) -> Spans:
        """The spans of the stored baseline; with ``--tracekit-update``, the present ones, which are stored."""
        if self._update:
            if not self._recorder.spans():
                message = "expected spans to store as a baseline, found none"
                raise TracekitError(f"{message}; check that the code under test is instrumented with OpenTelemetry")
            self.path.parent.mkdir(exist_ok=True)
            return Spans(read(self.traces.to_otlp(self.path, redact=None)))
        if not self.path.is_file():
            raise TracekitError(f"expected a baseline in {self.path}, found none; run pytest {UPDATE} to write it")
        return Spans(read(self.path))

    def assert_no_regression(self, *conditions: str) -> None:
        """Raise AssertionError if an operation has more calls or more errors than in the baseline.

        With ``--tracekit-update``, store the baseline instead.

        Parameters
        ----------
        conditions
            More conditions on ``tk.compare(baseline, traces)``, which are decided statistically: see
            ``Comparison.assert_no_regression``.  They need at least 20 traces a side.
        """
        baseline = self.baseline
        if self._update:
            return  # it is what was recorded now
        more = _more(_counts(baseline.traces), _counts(self.traces))
        if more:
            listed = "; ".join(more[:_SHOWN]) + f"; and {len(more) - _SHOWN} more" * (len(more) > _SHOWN)
            raise AssertionError(f"{listed} (baseline {self.path}; if this is intended, run pytest {UPDATE})")
        if conditions:
            compare(baseline.traces, self.traces).assert_no_regression(*conditions)


def baseline_path(test_file: Path, nodeid: str) -> Path:
    """Return the file of a test's baseline, in a folder beside the test.

    Examples
    --------
    >>> from pathlib import Path
    >>> baseline_path(Path("tests/test_pay.py"), "tests/test_pay.py::TestCard::test_pay[visa/4]").as_posix()
    'tests/__tracekit__/test_pay.TestCard.test_pay-visa-4-.33536ae4.jsonl.zst'
    """
    name = nodeid.partition("::")[2].replace("::", ".")
    safe = re.sub(r"[^\w.]", "-", name, flags=re.ASCII)[:_LONGEST]
    if safe != name:
        safe = f"{safe}.{sha256(name.encode()).hexdigest()[:8]}"
    return test_file.parent / FOLDER / f"{test_file.stem}.{safe}.jsonl.zst"


def _counts(traces: TraceSet) -> Counter[tuple[str, str]]:
    """Return the number of calls and errors of every operation."""
    spans = traces.spans
    operations = [
        " ".join(filter(None, (_text(service), _text(name))))
        for service, name in zip(spans["service_name"].astype(object), spans["name"].astype(object), strict=True)
    ]
    failed = spans["is_error"].to_numpy(bool)
    counts = Counter(("calls", one) for one in operations)
    counts.update(("errors", one) for one, is_error in zip(operations, failed, strict=True) if is_error)
    return counts


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _more(before: Counter[tuple[str, str]], now: Counter[tuple[str, str]]) -> list[str]:
    """Return a sentence for every number that has grown, the largest growth first."""
    grown = sorted(((count - before[key], key) for key, count in now.items() if count > before[key]), reverse=True)
    return [f"{plural(now[key], key[0][:-1])} of {key[1]}, {before[key]} in the baseline" for _, key in grown]
