"""Step 1 on API Gateway: the stages with tracing, and the APIs that cannot be traced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.aws.reader import call_each

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracekit.aws.audit.answers import Answers
    from tracekit.aws.audit.service_record import ServiceRecords
    from tracekit.aws.reader import Answer, Reader

APIS, STAGES, OTHERS = "apigateway:GetRestApis", "apigateway:GetStages", "apigatewayv2:GetApis"
UNTRACED = "untraced gateway"
_STAGE = ("stageName", "tracingEnabled", "createdDate", "lastUpdatedDate", "deploymentId")


def fetch_gateways(reader: Reader) -> Iterator[Answer]:
    """Yield the REST APIs with their stages, and the HTTP and WebSocket APIs."""
    listed = reader.call(APIS)
    yield listed
    yield from call_each(reader, STAGES, [{"restApiId": api["id"]} for api in listed.content.get("items", ())])
    yield reader.call(OTHERS)


def read_gateways(records: ServiceRecords, answers: Answers) -> dict[str, str]:
    """Add facts about API Gateway stages; HTTP and WebSocket APIs have no tracing setting."""
    names = {api["id"]: str(api.get("name")) for api in answers.items(APIS) or ()}
    labels: dict[str, str] = {}
    for call in answers.of(STAGES):
        for stage in call.content["item"]:
            name = f"{names.get(call.request['restApiId'], call.request['restApiId'])}/{stage['stageName']}"
            labels[f"api/{name}"] = name
            record = records.of(name)
            excerpt: dict[str, Any] = {key: stage.get(key) for key in _STAGE}
            is_on = bool(stage.get("tracingEnabled"))
            record.add(1, "platform", "gateway", call, excerpt)
            record.add(1, "tracing_disabled", False if is_on else "tracingEnabled=false", call, excerpt)
            record.add(1, "instrumented_by", "API Gateway itself", call)
            record.add(6, "created", stage.get("createdDate"), call, excerpt)
            record.add(6, "modified", stage.get("lastUpdatedDate"), call, excerpt)
    for call in answers.of(OTHERS):
        for api in call.content["Items"]:
            record = records.of(str(api.get("Name")))
            excerpt = {key: api.get(key) for key in ("Name", "ApiId", "ProtocolType")}
            if record.value("platform") is None:  # else a traced service has the same name
                record.add(1, "platform", UNTRACED, call, excerpt, "API Gateway traces REST APIs only")
                record.add(1, "protocol", str(api.get("ProtocolType")), call, excerpt)
    return labels
