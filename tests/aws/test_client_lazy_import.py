"""boto3 is imported on the first call only."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "code",
    [
        "import tracekit as tk; tk.pull_xray; tk.trace_summaries; tk.annotation_lint; tk.xray_filter",
        "import tracekit.cli_pull",
        "import tracekit.aws.client, tracekit.aws.pull.retrieval, tracekit.aws.pull.insights",
    ],
)
def test_boto3_is_not_imported_before_a_call_is_made(code):
    probe = f"{code}; import sys; print(*sorted(set(sys.modules) & {{'boto3', 'botocore'}}))"
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.split() == []
