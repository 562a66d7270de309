"""Keys that say whose the slow or failed requests are."""

from types import SimpleNamespace

import pandas as pd
import pytest

from tracekit.checks.request_keys import request_keys


@pytest.mark.parametrize("key", ["aws.xray.error", "aws.xray.fault", "aws.xray.throttle", "error.type"])
def test_a_failure_is_not_who_failed(key):
    rows = pd.DataFrame({"key": [key, "app.tenant"], "is_significant": True, "difference_ratio": 0.5, "also": ""})
    assert request_keys(SimpleNamespace(table=rows)) == ["app.tenant"]
