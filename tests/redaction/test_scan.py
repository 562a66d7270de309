"""The fast search for texts that may contain PII: in every lane the same, and it misses none."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.loading import native
from tracekit.redaction.numbers import IBAN_LENGTHS
from tracekit.redaction.patterns import DETECTORS
from tracekit.redaction.scan import blob, candidates, digit_runs

PIECES = [
    *("jo@x.example", "jo%40x.example", "+49 30 1234567", "4111 1111 1111 1111", "4111\xa01111\xa01111\xa01111"),
    *("DE89370400440532013000", "gb29NWBK60161331926819", "171-74-9768", "eyJhbGciOiJub25lIn0.eyJhIjoxfQ.abcdefg"),
    *("AKIAIOSFODNN7EXAMPLE", "ghp_" + "a1" * 18, "github_pat_" + "b2" * 15, "glpat-abcdefghij0123456789"),
    *("xoxb-1234567890", "AIza" + "c3" * 17 + "d", "sk_live_0123456789abcdef", "npm_" + "e4" * 18),
    *("-----BEGIN RSA PRIVATE KEY-----", "api_key=abcd1234efgh", "Bearer abcdef123456", "https://u:p4ss@h.example"),
    *("10.0.0.7", "fd00::1", "password: 'pass1234'", "signature=0f3a9c51", "7", "0", "x", " ", "-", ".", "é", "="),
]
LANES = [lane for lane in native.LANES if lane == "python" or native.extension is not None]
texts = st.lists(st.lists(st.sampled_from(PIECES), max_size=4).map("".join), max_size=6)
RUN = re.compile(rb"(?<![A-Za-z0-9._\x80-\xff-])[0-9]{13,19}(?![A-Za-z0-9._\x80-\xff-])")


@settings(deadline=None)
@given(texts)
def test_every_lane_has_the_same_candidates(found):
    whole = blob(found)
    with pytest.MonkeyPatch.context() as patched:
        by_lane = []
        for lane in LANES:
            patched.setenv(native.SWITCH, lane)
            by_lane.append({kind: rows.tolist() for kind, rows in candidates(whole).items()})
    assert all(one == by_lane[0] for one in by_lane)
    for kind, rows in by_lane[0].items():
        assert {at for at, text in enumerate(found) if DETECTORS[kind].found_in(text)} <= set(rows)


@pytest.mark.parametrize("lane", LANES)
def test_accounts_of_every_country_are_candidates(lane, monkeypatch):
    monkeypatch.setenv(native.SWITCH, lane)
    upper = [f"{country}{'1' * (length - 2)}" for country, length in IBAN_LENGTHS.items()]
    assert candidates(blob([*upper, *map(str.lower, upper)]))["IBAN"].tolist() == list(range(2 * len(upper)))
    assert not len(candidates(blob(["XX" + "1" * 20, "DE1", "D", ""]))["IBAN"])


@given(st.lists(st.text("0123456789-x.é", max_size=45) | st.from_regex(r"[0-9]{11,21}", fullmatch=True), max_size=9))
def test_runs_of_digits_are_those_of_a_pattern(found):
    runs = digit_runs(blob(found))
    expected = [(row, match[0]) for row, text in enumerate(found) for match in RUN.finditer(text.encode())]
    whole = blob(found)
    ends = zip(runs.row.tolist(), runs.begin.tolist(), (runs.begin + runs.length).tolist(), strict=True)
    assert [(row, bytes(whole.data[low:high])) for row, low, high in ends] == expected
    assert np.all(whole.offsets[runs.row] <= runs.begin)
