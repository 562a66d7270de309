"""What a user with a real account runs into before anything is answered, and what is then said."""

import json
import re
import socket
from datetime import UTC, datetime, timedelta

import boto3
import pandas as pd
import pytest
from botocore.exceptions import ClientError, UnauthorizedSSOTokenError
from fake_xray import BEGUN, Trace, trace_id
from typer.testing import CliRunner

import tracekit as tk
from tracekit.aws.access import Access
from tracekit.aws.client import Caller
from tracekit.aws.pull.xray import pull_xray
from tracekit.aws.reader import Reader
from tracekit.cli import app
from tracekit.pull.calls import NoAnswerError, RejectedError

CONFIG = """
[profile old-sso]
sso_start_url = https://x.awsapps.com/start
sso_region = eu-west-1
sso_account_id = 123456789012
sso_role_name = reader
region = eu-west-1
[profile new-sso]
sso_session = mine
sso_account_id = 123456789012
sso_role_name = reader
region = eu-west-1
[sso-session mine]
sso_start_url = https://x.awsapps.com/start
sso_region = eu-west-1
[profile broken]
credential_process = /bin/false
region = eu-west-1
[profile orphan]
role_arn = arn:aws:iam::123456789012:role/reader
source_profile = nobody
region = eu-west-1
"""
TIME = {"start": pd.Timestamp(BEGUN, unit="s").isoformat(), "end": pd.Timestamp(BEGUN + 30_000, unit="s").isoformat()}


@pytest.fixture
def profiles(monkeypatch, tmp_path):
    """A configuration with logins that have ended."""
    (tmp_path / "config").write_text(CONFIG)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"):
        monkeypatch.delenv(f"AWS_{name}")


@pytest.mark.usefixtures("profiles")
@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("old-sso", r"found SSOTokenLoadError: .*does not exist; log in again \(`aws sso login`\)"),
        ("new-sso", r"found SSOTokenLoadError: .*does not exist; log in again \(`aws sso login`\)"),
        ("broken", r"found CredentialRetrievalError: .*custom-process:; test with `aws sts get-caller-identity`"),
        ("orphan", r'found InvalidConfigError: The source_profile "nobody" .*; test with `aws sts'),
        ("nobody", r"found ProfileNotFound: The config profile \(nobody\) could not be found; test with"),
    ],
)
def test_credentials_that_cannot_be_had_are_one_line(tmp_path, profile, expected):
    expected = f"expected an AWS session with credentials, {expected}"
    with pytest.raises(tk.PullError, match=expected) as told:
        pull_xray(tmp_path / "pulled", [trace_id(1)], profile=profile)
    assert told.value.__cause__ is None
    assert told.value.__context__ is None, "a traceback of forty lines tells nothing more"
    with pytest.raises(tk.PullError, match=f"{expected}.*; or audit a saved folder"):
        tk.audit_coverage(profile=profile)
    for command in (["pull", "xray", str(tmp_path / "by-cli"), "--start", "6h"], ["audit"]):
        ran = CliRunner().invoke(app, [*command, "--profile", profile])
        assert ran.exit_code == 2
        assert ran.output.startswith("tracekit: expected an AWS session with credentials, found ")
        assert len(ran.output.splitlines()) == 1
    assert not (tmp_path / "pulled").exists(), "nothing was begun"


@pytest.mark.usefixtures("profiles")
def test_an_expired_login_is_reported(tmp_path):
    ended = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    cache = tmp_path / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True)
    token = {"startUrl": "https://x.awsapps.com/start", "accessToken": "t", "region": "eu-west-1", "expiresAt": ended}
    (cache / "e8be5486177c5b5392bd9aa76563515b29358e6e.json").write_text(json.dumps(token))
    for profile in ("old-sso", "new-sso"):
        with pytest.raises(tk.PullError, match=r"found (UnauthorizedSSO|SSO)Token\w*: .*; log in again"):
            Access(profile=profile)


@pytest.mark.parametrize("emulated", ["test", "a", "testing", "000000000000"])
def test_credentials_of_an_emulator_are_not_masked(monkeypatch, emulated):
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", emulated)
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    text = "the latest request to http://localhost:4566/000000000000/testing failed: test"
    assert Access().cleaned(text) == text


def test_credentials_are_masked_as_whole_tokens(markers):
    key, secret, token = markers
    access = Access()
    assert access.cleaned(f"Credential={key}/20261122/eu-west-1, {token}.") == "Credential=***/20261122/eu-west-1, ***."
    assert access.cleaned(repr(f"x\n{token}\t{secret}")) == r"'x\n***\t***'"
    assert access.cleaned(f"{key}X") == f"{key}X", "another key"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (404, r"^xray:GetTraceSummaries: not offered by this endpoint \(404\); check AWS_ENDPOINT_URL and proxies$"),
        (503, r"found a server error \(an HTML page instead of an AWS response \(503\)\) at each of 2 attempts"),
    ],
)
def test_a_pull_from_an_endpoint_that_answers_pages_ends_with_one_line(serve_page, tmp_path, status, expected):
    serve_page(status)
    with pytest.raises(tk.PullError, match=expected) as raised:
        pull_xray(tmp_path / "pulled", **TIME, attempts=2, backoff_s=0.0)
    assert "<" not in str(raised.value)


@pytest.mark.parametrize("is_in_profile", [False, True])
def test_the_certificates_of_a_profile_or_the_environment_are_used(serve, monkeypatch, tmp_path, is_in_profile):
    bundle = tmp_path / "ca.pem"
    bundle.write_text("not a certificate")
    monkeypatch.setenv("AWS_ENDPOINT_URL", serve().url.replace("http:", "https:"))
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    if is_in_profile:
        (tmp_path / "config").write_text(f"[profile company]\nca_bundle = {bundle}\nregion = eu-west-1\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("AWS_PROFILE", "company")
    else:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    assert Access().ca_bundle() == str(bundle)
    caller = Caller(attempts=1, backoff_s=0.0, connections=1)
    with pytest.raises(NoAnswerError, match="NO_CERTIFICATE_OR_CRL_FOUND"):
        caller.call("xray", "get_groups", dict)
    caller.close()


class Session:
    """A session whose credentials end after some calls."""

    region_name = "eu-west-1"
    profile_name = "default"

    def __init__(self, left, error):
        self._session, self.left, self.error = boto3.Session(), left, error
        self.keys = self._session.get_credentials()

    def get_credentials(self):
        return self

    def get_frozen_credentials(self):
        self.left -= 1
        if self.left < 0:
            raise self.error
        return self.keys.get_frozen_credentials()

    def client(self, *names, **more):
        client = self._session.client(*names, **more)
        client._request_signer._credentials = self
        return client


ROLE = ClientError({"Error": {"Code": "AccessDenied", "Message": "may not assume marker/secret+Key0002"}}, "AssumeRole")


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (UnauthorizedSSOTokenError(), r"found UnauthorizedSSOTokenError: .*; log in again \(`aws sso login`\)"),
        (
            ROLE,
            r"found ClientError: .*AssumeRole operation: may not assume \*\*\*; test with `aws sts get-caller-.*`",
        ),
    ],
)
def test_a_pull_with_an_expiring_login_stops_and_resumes(serve, tmp_path, error, found):
    server = serve([Trace(number) for number in range(1, 41)])
    with pytest.raises(
        tk.PullError, match=f"expected credentials for BatchGetTraces, {found}, then rerun with the same"
    ):
        pull_xray(tmp_path / "pulled", list(server.traces), session=Session(4, error), concurrency=1)
    assert 0 < sum(server.asked.values()) < 40
    pull = pull_xray(tmp_path / "pulled", list(server.traces))
    assert pull.counts == {"returned": 40}
    assert set(server.answered.values()) == {1}, "nothing that was answered is asked again"


def test_a_login_that_ends_in_the_middle_ends_an_audit():
    reader = Reader(Session(1, UnauthorizedSSOTokenError()))
    with pytest.raises(tk.PullError, match=r"expected credentials for xray:GetGroups, found Unauthorized.*; log in"):
        reader.call("xray:GetGroups")


@pytest.mark.parametrize("region", ["", None])
def test_an_empty_region_is_none(monkeypatch, region):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "")
    with pytest.raises(tk.PullError, match="no AWS region: pass --region"):
        Access(region=region)


def test_the_variable_that_is_named_sets_the_region(monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(tk.PullError, match="no AWS region") as told:
        Access()
    (named,) = re.findall(r"set (AWS_\w+)", str(told.value))
    monkeypatch.setenv(named, "eu-north-1")
    assert Access().region == "eu-north-1"


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ("eu-west-1", r"; check the network and proxies$"),
        ("eu-wset-1", r"; check the region eu-wset-1 \(similar: eu-west-1\) and the network$"),
        ("moon", r"; check the region moon and the network$"),
    ],
)
def test_an_unreachable_endpoint_is_retried_and_then_reported(monkeypatch, region, expected):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    caller = Caller(region=region, attempts=3, backoff_s=0.0, connections=1)
    with pytest.raises(NoAnswerError, match=rf"found a connection that failed .*at each of 3 attempts.*{expected}"):
        caller.call("xray", "get_groups", dict)
    assert caller.counts["GetGroups"] == 3, "a network comes back"


@pytest.mark.parametrize("code", ["InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed"])
def test_a_clock_that_is_wrong_is_not_taken_for_credentials_that_expired(serve, monkeypatch, code):
    server = serve()
    refused = {"__type": code, "message": "Signature expired: 20261121T1000Z is now earlier than 20261121T1100Z"}
    monkeypatch.setattr(server, "answer", lambda *_: (403, refused))
    with pytest.raises(RejectedError, match=rf"{code}: Signature expired.*; check the clock of this machine"):
        Caller(attempts=1, backoff_s=0.0, connections=1).call("xray", "batch_get_traces", dict, TraceIds=[])
    with pytest.raises(tk.PullError, match=rf"found {code}: check the clock of this machine"):
        Reader(attempts=1).call("xray:BatchGetTraces", TraceIds=[])


# -------------------------------------------------------------------- ids and times


def test_an_account_without_a_trace_names_the_searched_period(serve, tmp_path):
    serve([])
    pull = pull_xray(tmp_path / "pulled", service="payments", **TIME)
    assert repr(pull).endswith("pulled: 0 traces: none found)")
    expected = 'X-Ray contains no traces that match service("payments") in eu-west-1 from 2025-10-09 08:53 to'
    assert pull.notes[0].startswith(expected)
    assert "check account, region, period" in pull.notes[0]
    ran = CliRunner().invoke(app, ["pull", "xray", str(tmp_path / "by-cli"), "--start", TIME["start"]])
    assert "note: X-Ray contains no traces in eu-west-1 from" in ran.output


def test_ids_come_as_load_balancers_log_them(serve, tmp_path):
    server = serve([Trace(1)])
    ids = tmp_path / "ids.txt"
    ids.write_text(f"\ufeffRoot={trace_id(1)}\n{trace_id(1)}\nroot={trace_id(1)};Parent=53995c3f42cd8ad8;Sampled=1\n")
    assert pull_xray(tmp_path / "pulled", ids).counts == {"returned": 1}
    assert server.asked == {trace_id(1): 1}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            b"trace_id,duration\n",
            r"line 1 of .*ids\.txt: expected a trace id as in .*, found 'trace_id,duration'; nothing",
        ),
        (f"{trace_id(1)}\n{trace_id(1)[:-1]}\n".encode(), r"line 2 of .*ids\.txt: expected a trace id as in"),
        (
            b"\xff\xd8\x00",
            r"expected a file with one trace id per line, found .*ids\.txt: not a text file; nothing was requested",
        ),
        (None, r"expected a file with one trace id per line, found .*ids\.txt: No such file or directory"),
    ],
)
def test_an_invalid_file_of_ids_is_reported_with_its_line(tmp_path, content, expected):
    ids = tmp_path / "ids.txt"
    if content is not None:
        ids.write_bytes(content)
    with pytest.raises(tk.PullError, match=expected):
        pull_xray(tmp_path / "pulled", ids)
    ran = CliRunner().invoke(app, ["pull", "xray", str(tmp_path / "pulled"), "--ids", str(ids)])
    assert ran.exit_code == 2
    assert len(ran.output.splitlines()) == 1


def test_an_empty_list_of_ids_does_not_request_everything(serve, tmp_path):
    server = serve([Trace(1)])
    (tmp_path / "ids.txt").write_text("\n")
    command = ["pull", "xray", str(tmp_path / "pulled"), "--start", TIME["start"], "--ids"]
    for name, where in ((str(tmp_path / "ids.txt"), "ids.txt"), ("-", "standard input")):
        ran = CliRunner().invoke(app, [*command, name], input="")
        assert ran.exit_code == 2
        assert "no trace IDs in" in ran.output
        assert where in "".join(line.strip("│ ") for line in ran.output.splitlines())
    assert not server.calls
