"""Steps 2 and 5: Lambda functions with their tracing mode, and request counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tracekit.weights.counts import read_counts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.aws.audit.answers import Answers
    from tracekit.aws.audit.service_record import ServiceRecords
    from tracekit.aws.reader import Answer

_HOUR = 3600
_TARGETS, _STAGES = "targetgroup/", "api/"
_LAYERS = ("AWSOpenTelemetryDistro", "aws-otel", "opentelemetry")


def read_functions(records: ServiceRecords, answers: Answers) -> None:
    """Add facts about Lambda functions."""
    for call in answers.of("lambda:ListFunctions"):
        for function in call.content["Functions"]:
            record = records.of(function["FunctionName"])
            mode = (function.get("TracingConfig") or {}).get("Mode")
            record.add(2, "platform", "lambda", call, {"FunctionName": record.name})
            excerpt = {"FunctionName": record.name, "TracingConfig": function.get("TracingConfig")}
            record.add(2, "tracing_mode", mode, call, excerpt)
            record.add(2, "instrumented_by", *_instrumentation(function, call))
            record.add(
                6, "modified", function.get("LastModified"), call, {"LastModified": function.get("LastModified")}
            )
            record.add(9, "role", function.get("Role"), call)
            record.add(9, "subnets", (function.get("VpcConfig") or {}).get("SubnetIds") or None, call)


def _instrumentation(function: dict[str, Any], call: Answer) -> tuple[str | None, Answer, Any, str]:
    """Return the instrumentation of a function as far as its configuration shows it."""
    layers = [str(layer.get("Arn", "")).rpartition(":layer:")[2] for layer in function.get("Layers") or ()]
    wrapper = ((function.get("Environment") or {}).get("Variables") or {}).get("AWS_LAMBDA_EXEC_WRAPPER")
    found = next((layer for layer in layers if any(word in layer for word in _LAYERS)), None)
    if found or wrapper:
        return found or wrapper, call, {"Layers": layers, "AWS_LAMBDA_EXEC_WRAPPER": wrapper}, ""
    if function.get("PackageType") == "Image":
        return None, call, None, "layers of a container image are not visible"
    return "no layer", call, {"Layers": layers}, "an SDK inside the package is not visible"


def read_requests(
    records: ServiceRecords, answers: Answers, targets: Mapping[str, str], requests: pd.DataFrame | None
) -> None:
    """Add request counts: those of the user, else those of CloudWatch."""
    for call in answers.of("cloudwatch:GetMetricData"):
        found = call.content["MetricDataResults"]
        whole = {one.get("Label") for one in found if one.get("StatusCode", "Complete") == "Complete"}  # the last page
        for series in found:
            label = str(series.get("Label"))
            if label not in whole or (label.startswith(_TARGETS) and label not in targets):
                continue  # incomplete, or of a service that was not listed
            record = records.of(targets.get(label, label.removeprefix(_STAGES)))
            if label.startswith(_STAGES):
                record.add(5, "platform", "gateway", call, {"Label": label})
            elif label not in targets:
                record.add(5, "platform", "lambda", call, {"FunctionName": label})
            counted = _by_hour(series["Timestamps"], series["Values"], answers)
            record.requests = counted if record.requests is None else record.requests + counted
            record.request_total = float(record.requests.sum())
            excerpt = {"Label": label, "sum": int(record.request_total), "hours": len(series["Values"])}
            record.add(5, "requests", int(record.request_total), call, excerpt)
    if requests is not None:
        _add_user_counts(records, answers, requests)


def _by_hour(times: list[str], values: list[float], answers: Answers) -> np.ndarray:
    """Return requests per hour; an hour without a value had none."""
    found = np.zeros(answers.hours)
    at = np.array([int((pd.Timestamp(time).timestamp() - answers.start) // _HOUR) for time in times], np.int64)
    is_in = (at >= 0) & (at < answers.hours)
    np.add.at(found, at[is_in], np.asarray(values, np.float64)[is_in])
    return found


def _add_user_counts(records: ServiceRecords, answers: Answers, requests: pd.DataFrame) -> None:
    """Add the user's request counts, which replace those of CloudWatch."""
    counts = read_counts(requests)
    if "service_name" not in counts.dimensions:
        raise ValueError(
            f"expected request counts with a column service, found {', '.join(map(str, requests.columns))}"
        )
    for name, rows in counts.frame.groupby("service_name"):
        record = records.of(str(name))
        total = rows["count"].sum()
        record.requests = None
        if counts.has_time:
            hours = (rows["start_ns"] // 10**9 - answers.start) // _HOUR
            inside = rows[(hours >= 0) & (hours < answers.hours)]
            record.requests = np.bincount(
                hours[inside.index].to_numpy(), weights=inside["count"].to_numpy(), minlength=answers.hours
            )
            total = record.requests.sum()
        record.request_total = float(total)
        record.add(5, "requests", int(total), None, {"given": int(total)}, "counted by the user")
