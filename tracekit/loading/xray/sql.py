"""``sql`` blocks of X-Ray as attributes, without passwords in database URLs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tracekit.schema import Origin

if TYPE_CHECKING:
    from collections.abc import Callable

_SQL = {
    "database_type": "db.system.name",
    "sanitized_query": "db.query.text",
    "user": "db.user",
}
_DB_SYSTEMS = {"microsoft sql server": "microsoft.sql_server"}

_URL_PASSWORD = re.compile(r"(//[^/?#\s:@]*):(?!\d+(?:[/?#;,]|$))\S*@")  # not a host with its port
_DSN_PASSWORD = re.compile(r"^(?!jdbc:)([^\s:/@]+):(?!//)\S*@", re.IGNORECASE)
_THIN_PASSWORD = re.compile(r"(:thin:[^/@\s]*)/\S*@", re.IGNORECASE)
_NAMED_PASSWORD = re.compile(
    r"((?:password|passwd|pwd|secret|token|accesskey|accountkey)\s*=\s*)(?:\"[^\"]*\"|'[^']*'|[^;&\s]*)", re.IGNORECASE
)
_NAMED_DATABASE = re.compile(r"(?:database\s?name|database|initial catalog|dbname)\s*=\s*([^;&\s]+)", re.IGNORECASE)
_URL_DATABASE = re.compile(r"//[^/]*/([^/?;#\s]+)")


def sql(kv: Callable[..., int], block: dict[str, Any]) -> list[int]:
    """Return the attributes of an ``sql`` block; passwords in URLs become ``***``."""
    codes = []
    namespace = None
    for member, value in block.items():
        plain = value
        if member in {"url", "connection_string"} and isinstance(value, str):
            plain = without_password(value)
            namespace = namespace or database(plain)
        elif member == "database_type" and isinstance(value, str):
            plain = _DB_SYSTEMS.get(value.lower(), value.lower())
        codes.append(kv(_SQL.get(member) or f"aws.xray.sql.{member}", plain, Origin.SQL))
    if namespace:
        codes.append(kv("db.namespace", namespace, Origin.DERIVED))
    return codes


def without_password(address: str) -> str:
    """Return a connection string without its password."""
    for pattern, mask in (
        (_URL_PASSWORD, r"\1:***@"),
        (_THIN_PASSWORD, r"\1/***@"),
        (_DSN_PASSWORD, r"\1:***@"),
        (_NAMED_PASSWORD, r"\1***"),
    ):
        address = pattern.sub(mask, address)
    return address


def database(address: str) -> str | None:
    """Return the database name in a connection string."""
    found = _NAMED_DATABASE.search(address) or _URL_DATABASE.search(address)
    return found[1] if found else None
