"""Which lane reads, and who says so."""

import numpy as np
import pytest

import tracekit as tk
from tracekit.loading import native


def test_the_switch_chooses_the_lane(monkeypatch):
    monkeypatch.setenv("TRACEKIT_LANE", "python")
    assert tk.describe_build()[:2] == ("python", "TRACEKIT_LANE=python")
    assert native.compiled() is None


def test_an_unknown_lane_is_refused(monkeypatch):
    monkeypatch.setenv("TRACEKIT_LANE", "slow")
    with pytest.raises(ValueError, match="expected TRACEKIT_LANE to be compiled or python, or not set, found 'slow'"):
        tk.describe_build()


def test_a_missing_extension_is_told(monkeypatch):
    monkeypatch.setattr(native, "extension", None)
    monkeypatch.setenv("TRACEKIT_LANE", "")
    build = tk.describe_build()
    assert (build.lane, build.compiler) == ("python", "")
    monkeypatch.setenv("TRACEKIT_LANE", "compiled")
    with pytest.raises(ValueError, match=r"expected the compiled lane \(TRACEKIT_LANE=compiled\), found none: .*unset"):
        tk.describe_build()


@pytest.mark.skipif(native.extension is None, reason="the compiled lane was not built")
def test_the_compiler_is_told(monkeypatch):
    monkeypatch.setenv("TRACEKIT_LANE", "")
    build = tk.describe_build()
    assert (build.lane, build.reason) == ("compiled", "the extension was built")
    assert native.compiled() is native.extension
    assert build.compiler


@pytest.mark.skipif(native.extension is None, reason="the compiled lane was not built")
@pytest.mark.parametrize("scan", ["scan_jaeger_lines", "scan_zipkin_lines"])
def test_lines_of_another_format_are_not_scanned_in_vain(scan):
    flat_span = b'{"traceId":"000000000000000000000000000000a1","spanId":"00000000000000b2","durationNano":4}\n'
    found = getattr(native.extension, scan)(flat_span * 5)
    assert np.frombuffer(found["other_number"], np.int64).tolist() == [0]
    assert found["line_number"] == b""
