"""Opens backend and folder for one run of a pull, and checks the arguments against those of the first run."""

from __future__ import annotations

import re
import uuid
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct
from msgspec.structs import asdict, replace

from tracekit.errors import PullError
from tracekit.pull.core import Run
from tracekit.pull.folder import PullFolder
from tracekit.pull.ids import to_hex
from tracekit.pull.kinds import kind_of
from tracekit.pull.progress import Meter
from tracekit.pull.windows import Period, instant_ns, rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tracekit.pull.backend import Calls, Kind, Query
    from tracekit.pull.progress import Progress
    from tracekit.pull.result import Pull

_ID = re.compile(r"[0-9a-fA-F]{1,32}")


class Selected(NamedTuple):
    """Which traces to pull."""

    trace_ids: Iterable[str] | str | Path | None
    query: Query
    start: Any
    end: Any


class _Plan(Struct):
    """The required fields of a plan."""

    id: str
    backend: str
    url: str
    window: tuple[int, int] | None
    limit: int | None


def pull_into(
    folder: str | Path,
    backend: str,
    url: str,
    selected: Selected,
    calls: Calls,
    *,
    rounds: int,
    is_confirmed: bool,
    on_progress: Callable[[Progress], object] | None,
) -> Pull:
    """Pull traces into a folder."""
    path = Path(folder)
    kind = kind_of(backend)
    _check_query(kind, selected.query)
    ids = None if selected.trace_ids is None else read_trace_ids(selected.trace_ids)
    is_resumed = (path / ".pull" / "plan.json").exists()
    window = _window(selected, is_resumed=is_resumed)
    if ids is not None and any(asdict(selected.query).values()):
        raise ValueError("expected trace_ids or a search (service, operation, query, durations), found both; omit one")
    if min(calls.concurrency, calls.attempts, rounds, 1 if calls.limit is None else calls.limit) < 1:
        raise ValueError("expected concurrency, attempts, rounds and limit of 1 or more, found a smaller one")
    url = kind.checked_url(url)
    options = {
        "backend": backend,
        "url": url,
        **asdict(selected.query),
        "start": None if selected.start is None else str(selected.start),
        "end": None if selected.end is None else str(selected.end),
        "limit": calls.limit,
    }
    derived = {"window": window, "id": uuid.uuid4().hex}
    with PullFolder(path, _Plan) as opened, Meter(on_progress) as meter:
        plan = opened.plan(options, derived) if is_resumed else {**options, **derived}
        query = selected.query if ids is not None else _planned(selected.query, plan)
        with closing(kind.open(url, query, replace(calls, limit=plan["limit"]))) as server:
            plan = opened.plan(options, derived)  # after the backend has accepted the conditions
            run = Run(
                server, opened, meter, plan, concurrency=calls.concurrency, rounds=rounds, is_confirmed=is_confirmed
            )
            return run.run(ids)


def _check_query(kind: Kind, query: Query) -> None:
    """Raise ValueError for conditions that a backend does not have."""
    wrong = [name for name, value in asdict(query).items() if value is not None and name not in kind.accepts]
    if wrong:
        accepted = ", ".join(kind.accepts) or "none"
        raise ValueError(f"expected conditions of {kind.name} ({accepted}), found {', '.join(wrong)}; omit them")


def _window(selected: Selected, *, is_resumed: bool) -> Period | None:
    """Return the period; None with a list of ids, or to resume."""
    if selected.start is None:
        if selected.trace_ids is None and not is_resumed:
            message = "no trace IDs and no period: pass --ids, --trace-id or --start (Python: trace_ids= or start=)"
            raise ValueError(message)
        return None
    period = Period(instant_ns(selected.start), instant_ns("0s" if selected.end is None else selected.end))
    if period.end_ns <= period.start_ns:
        message = f"expected an end after the start, found {rfc3339(period.end_ns)} and {rfc3339(period.start_ns)}"
        raise ValueError(message)
    return period


def _planned(query: Query, plan: dict[str, Any]) -> Query:
    """Return the conditions of the first run."""
    try:
        return type(query)(**{name: plan[name] for name in asdict(query)})
    except KeyError as error:
        raise PullError(
            f"expected the conditions of a pull in its plan, found no {error}; choose another folder"
        ) from None


def read_trace_ids(given: Iterable[str] | str | Path) -> list[str]:
    """Return ids as 32 hex digits, each once."""
    if isinstance(given, Path):
        try:
            given = given.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise PullError(f"expected a file of trace IDs, found {given}: {reason}") from None
    words = re.findall(r"[^\s,]+", given) if isinstance(given, str) else list(given)
    for number, word in enumerate(words, 1):
        if not _ID.fullmatch(word):
            raise ValueError(f"expected trace IDs of up to 32 hex digits, found {word!r:.60} at position {number}")
    return list(dict.fromkeys(map(to_hex, words)))
