"""The variables for an application."""

from tracekit.receiver.environment import environment

ENDPOINT = "http://127.0.0.1:4318"


def test_settings_for_other_endpoints_are_left_out():
    inherited = {
        "PATH": "/bin",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://vendor.example",
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=secret",
        "OTEL_SDK_DISABLED": "true",
        "OTEL_SERVICE_NAME": "shop",
    }
    assert environment(inherited, ENDPOINT, "127.0.0.1") == {
        "PATH": "/bin",
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    assert inherited["OTEL_SDK_DISABLED"] == "true", "the given variables are not changed"


def test_a_proxy_is_not_used_for_the_endpoint():
    made = environment({"HTTP_PROXY": "http://proxy:3128", "no_proxy": "a.example"}, ENDPOINT, "127.0.0.1")
    assert (made["NO_PROXY"], made["no_proxy"]) == ("127.0.0.1", "a.example,127.0.0.1")
    assert "NO_PROXY" not in environment({}, ENDPOINT, "127.0.0.1")
