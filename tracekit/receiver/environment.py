"""The environment variables that make an application export its traces to a receiver."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXPORTER = "OTEL_EXPORTER_OTLP_"
_PROXIES = ("http_proxy", "all_proxy")
_NO_PROXY = ("NO_PROXY", "no_proxy")


def environment(inherited: Mapping[str, str], endpoint: str, host: str) -> dict[str, str]:
    """Return variables for an application: the inherited ones, with exports of traces to an endpoint only.

    Inherited settings of the OTLP exporter are left out, such as other endpoints and headers with credentials.  If a
    proxy is set, it is not used for the endpoint.

    Examples
    --------
    >>> environment({"OTEL_EXPORTER_OTLP_HEADERS": "key=x", "A": "1"}, "http://127.0.0.1:4318", "127.0.0.1")["A"]
    '1'
    """
    kept = {name: value for name, value in inherited.items() if not name.startswith(_EXPORTER)}
    kept.pop("OTEL_SDK_DISABLED", None)
    if any(kept.get(name) or kept.get(name.upper()) for name in _PROXIES):
        for name in _NO_PROXY:
            kept[name] = ",".join(filter(None, (kept.get(name), host)))
    return kept | {
        f"{_EXPORTER}ENDPOINT": endpoint,
        f"{_EXPORTER}PROTOCOL": "http/protobuf",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
