"""The cases of ``shared/data/critical_path_cases.json`` as traces; times there are microseconds."""

from pathlib import Path

from tracekit.loading.building.builder import Builder, Link
from tracekit.loading.building.ledger import Position
from tracekit.loading.building.trace_set import to_trace_set
from tracekit.schema import KINDS, Relation

CASES = Path(__file__).parents[3] / "shared" / "data" / "critical_path_cases.json"


def load(case):
    """Return the traces of a case and its name of every span id."""
    names = [span["span_id"] for span in case["spans"]]
    names += [span["parent_id"] for span in case["spans"] if span["parent_id"] not in (None, *names)]
    number = {name: at + 1 for at, name in enumerate(dict.fromkeys(names))}
    builder = Builder()
    builder.open_source("case")
    for at, span in enumerate(case["spans"]):
        parent = number.get(span["parent_id"], 0)
        follows = [Link(0xA1, parent, Relation.FOLLOWS_FROM)] if span["ref_type"] == "FOLLOWS_FROM" else []
        resource = [builder.kv("service.name", span["service"])]
        resource += [builder.kv("host.name", span["host"])] if span.get("host") else []
        builder.span(
            at=Position(at, 0),
            trace_id=0xA1,
            span_id=number[span["span_id"]],
            parent_id=parent,
            name=span["name"],
            kind=KINDS.index(span["kind"] or "UNSPECIFIED"),
            start_ns=span["start_us"] * 1000,
            end_ns=(span["start_us"] + span["duration_us"]) * 1000,
            resource=builder.resource(resource),
            links=follows,
        )
    return to_trace_set(builder), {f"{value:016x}": name for name, value in number.items()}


def sections(path, names):
    """Return (span, start, end) of the path in microseconds, by start."""
    table = path.segments.merge(path.spans[["span_id"]], left_on="span_row", right_index=True)
    spans = [names[span_id] for span_id in table["span_id"]]
    return merged(zip(spans, table["start_ns"] // 1000, table["end_ns"] // 1000, strict=True))


def merged(pieces):
    """Return the pieces sorted by time, touching ones of a span as one and empty ones left out."""
    whole = []
    for span, low, high in sorted(pieces, key=lambda piece: (piece[1], piece[2], piece[0])):
        if low == high:
            continue
        if whole and whole[-1][0] == span and whole[-1][2] == low:
            whole[-1] = (span, whole[-1][1], high)
        else:
            whole.append((span, low, high))
    return whole


def crisp_root(case, traces):
    """Return a mask of the first span that CRISP would begin with."""
    wanted = case["crisp_root"]
    spans = traces.spans
    mask = (spans["service_name"] == wanted["service"]) & (spans["name"] == wanted["operation"])
    return mask & ~mask.shift(fill_value=False).cummax()
