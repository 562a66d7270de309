"""Who is affected: what redaction removes is not said to be absent."""

import numpy as np
from analysis.suspects.planted import EPOCH, MS, Shop

import tracekit as tk

WHO = [f"{name}@corp-mail.example.com" for name in ("anna.k", "bob.m", "carl.z", "dora.q")]


def recording(seed, begin, *, is_slow):
    """Requests of four customers with an e-mail address each; of one of them, all spans take five times as long."""
    spans = Shop(np.random.default_rng(seed), "", "").traces(240, begin=begin).spans
    number = spans.groupby("trace_id", sort=False).ngroup() % len(WHO)
    spans["attributes.customer.email"] = np.where(spans["parent_span_id"].isna(), np.array(WHO)[number], None)
    if is_slow:
        first = spans.groupby("trace_id")["start_ns"].transform("min")
        for column in ("start_ns", "end_ns"):
            spans[column] = first + (spans[column] - first) * np.where(number == 0, 5, 1)
    return tk.TraceSet.from_spans(spans.drop(columns=["duration_ns", "start_time"], errors="ignore")).with_weights(1)


def test_a_redacted_report_does_not_say_that_no_attribute_names_them(tmp_path):
    before, now = recording(1, EPOCH, is_slow=False), recording(2, EPOCH + 3_600_000 * MS, is_slow=True)
    case = tk.investigate(now, before)
    assert WHO[0] in case.first_screen["affected"].headline
    page = case.report(tmp_path / "a.html").read_text()
    assert "No attribute of the requests that redaction leaves says whose they are." in page
    assert "No attribute of the requests says" not in page
    assert tk.verify(tmp_path / "a.html", now, baseline=before).is_verified
