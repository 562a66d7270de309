"""Pulls the files that the collector's S3 exporter wrote below a prefix, one object per export.

Partitions follow the time of the upload, not that of the spans, so an hour more is listed on both sides.  Objects are
recognised by content: OTLP JSON becomes one line of the pull, anything else (protobuf) a file in ``objects/``.  Source:
collector-contrib, exporter/awss3exporter.
"""

from __future__ import annotations

import gzip
import re
import sys
import zlib
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

import msgspec

from tracekit.aws.client import Caller
from tracekit.aws.pull.paging import Pages
from tracekit.pull.backend import Fetched, Found, Hit, Kind
from tracekit.pull.calls import RejectedError
from tracekit.pull.http import one_line

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from tracekit.pull.backend import Calls, Query
    from tracekit.pull.ledger import Selection
    from tracekit.pull.windows import Period

_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?")
_HOUR_NS = 3_600 * 10**9
_LAYOUT = "year=%Y/month=%m/day=%d/hour=%H"
_XML = "{http://s3.amazonaws.com/doc/2006-03-01/}"
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_MARKS = (_GZIP, _ZSTD)
_LARGEST = 256 << 20  # bytes after decompression


class _Page(NamedTuple):
    """An answer of ListObjectsV2."""

    keys: list[str]
    next_token: str

    @classmethod
    def of(cls, body: bytes) -> _Page:
        """Decode an answer."""
        try:
            top = ET.fromstring(body)  # noqa: S314 - expat limits the expansion of entities
        except ET.ParseError as error:
            raise msgspec.DecodeError(str(error)) from None
        plain = {one.tag.removeprefix(_XML): one for one in top}
        if top.tag.removeprefix(_XML) != "ListBucketResult":
            raise msgspec.DecodeError("no ListBucketResult")
        keys = [
            unquote_plus(key.text or "")
            for entry in top
            if entry.tag.removeprefix(_XML) == "Contents"
            for key in entry
            if key.tag.removeprefix(_XML) == "Key"
        ]
        token = plain.get("NextContinuationToken")
        return cls(keys, (token.text or "") if token is not None else "")


class _Object(NamedTuple):
    """The content of an object, decompressed."""

    content: bytes

    @classmethod
    def of(cls, body: bytes) -> _Object:
        """Decompress a body, judged by its first bytes."""
        return cls(_decompressed(body))


class S3Exports:
    """The exports below a prefix of a bucket.

    Parameters
    ----------
    url
        ``s3://BUCKET/PREFIX``; credentials, region and endpoint come from boto3's chain.
    query
        ``query``: the layout of the partitions as for ``strftime``, in hours; default: that of the exporter.
    calls
        As for ``tk.pull``.

    Raises
    ------
    ValueError
        Credentials or a limit, which S3 does not take.
    """

    selection: Selection = "all"
    cap: int | None = None
    largest_cap: int | None = None
    unit_ns = _HOUR_NS
    longest_ns = _HOUR_NS
    pad_ns = _HOUR_NS
    batch_size = 1
    is_whole = False
    noun = "object"
    version = "ListObjectsV2"
    clock_offset_s: float | None = None

    def __init__(self, url: str, query: Query, calls: Calls) -> None:
        if calls.credentials is not None or calls.limit is not None or calls.ca_file is not None:
            message = "expected no credentials, ca_file and limit for S3, found one of them"
            raise ValueError(f"{message}; set AWS_PROFILE, AWS_CA_BUNDLE or AWS_ENDPOINT_URL_S3, and omit limit")
        self._bucket, prefix = url.removeprefix("s3://").partition("/")[::2]
        self._prefix = prefix.rstrip("/") + "/" if prefix else ""
        self._layout = query.query or _LAYOUT
        self.server = f"s3://{self._bucket}"
        self.caller = Caller(attempts=calls.attempts, backoff_s=calls.backoff_s, connections=calls.concurrency)

    def close(self) -> None:
        """Close the connections."""
        self.caller.close()

    def search(self, period: Period, cap: int | None) -> Found:  # noqa: ARG002 - S3 lists all
        """Return the keys of the partition of an hour."""
        hour = datetime.fromtimestamp(period.start_ns // 10**9, UTC)
        prefix = f"{self._prefix}{hour.strftime(self._layout)}/"
        keys: dict[str, None] = {}
        token, pages = "", Pages("ListObjectsV2", f"objects below {prefix}")
        while True:
            more = {"ContinuationToken": token} if token else {}
            page = self.caller.call(
                "s3", "list_objects_v2", _Page, Bucket=self._bucket, Prefix=prefix, EncodingType="url", **more
            )
            keys.update(dict.fromkeys(key for key in page.keys if not key.endswith("/")))
            token = pages.after(page.next_token, page.keys)
            if not token:
                return Found(f"ListObjectsV2 {self.server} prefix={prefix}", [Hit(key) for key in keys], is_full=False)

    def fetch(self, trace_ids: tuple[str, ...]) -> Fetched:
        """Return the content of objects by key."""
        lines: list[bytes] = []
        files: dict[str, bytes] = {}
        outcomes: dict[str, str] = {}
        for key in trace_ids:
            try:
                content = self.caller.call("s3", "get_object", _Object, Bucket=self._bucket, Key=key).content
            except RejectedError as error:
                if error.code != "NoSuchKey":
                    raise
                outcomes[key] = "not_found"
                continue
            outcomes[key] = "returned"
            if content.lstrip()[:1] in {b"{", b"["}:
                lines += _documents(content)
            elif content.strip():
                files[key] = content
        return Fetched(lines, outcomes, files)


def _documents(content: bytes) -> list[bytes]:
    """Return the lines of JSON Lines, or a document as one line."""
    lines = [line for line in content.splitlines() if line.strip()]
    if all(line.lstrip()[:1] == b"{" and line.rstrip()[-1:] == b"}" for line in lines):
        return lines
    return [one_line(content.strip())]


def _decompressed(body: bytes) -> bytes:
    """Return the content of an object, which may consist of several compressed parts."""
    if not body.startswith(_MARKS):
        return body
    is_gzip = body.startswith(_GZIP)
    try:
        with gzip.open(BytesIO(body)) if is_gzip else zstd.open(BytesIO(body)) as opened:
            content: bytes = opened.read(_LARGEST + 1)
    except (OSError, EOFError, zlib.error, zstd.ZstdError) as error:
        name = "gzip" if is_gzip else "zstd"
        raise RejectedError(f"expected a whole {name} object, found: {error}", code="damaged") from None
    if len(content) > _LARGEST:
        raise RejectedError(f"expected an object of at most {_LARGEST >> 20} MiB, found a larger one", code="too_large")
    return content


def checked_url(url: str) -> str:
    """Return the URL of a bucket and prefix; ValueError if it is none."""
    if not _URL.fullmatch(url):
        raise ValueError(f"expected s3://BUCKET/PREFIX, found {url.partition('?')[0][:80]!r}")
    return url.rstrip("/")


KIND = Kind("s3", ("query",), S3Exports, checked_url)
