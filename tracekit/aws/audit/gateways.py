"""Step 1 on API Gateway: which stages trace, and which APIs cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.aws.audit.calls import ask_each

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracekit.aws.audit.answers import Answer, Answers
    from tracekit.aws.audit.calls import Reader
    from tracekit.aws.audit.service_record import ServiceRecords

APIS, STAGES, OTHERS = "apigateway:GetRestApis", "apigateway:GetStages", "apigatewayv2:GetApis"
UNTRACED = "untraced gateway"
_STAGE = ("stageName", "tracingEnabled", "createdDate", "lastUpdatedDate", "deploymentId")


def ask_gateways(reader: Reader) -> Iterator[Answer]:
    """Yield the REST APIs, their stages, and the APIs of the second kind."""
    listed = reader.ask(APIS)
    yield listed
    yield from ask_each(reader, STAGES, [{"restApiId": api["id"]} for api in listed.content.get("items", ())])
    yield reader.ask(OTHERS)


def read_gateways(sheets: ServiceRecords, answers: Answers) -> dict[str, str]:
    """Write down what API Gateway says about its stages.

    Only REST APIs can be traced: HTTP and WebSocket APIs have no such setting.  Source: API Gateway developer guide.
    """
    names = {api["id"]: str(api.get("name")) for api in answers.items(APIS) or ()}
    labels: dict[str, str] = {}
    for call in answers.of(STAGES):
        for stage in call.content["item"]:
            name = f"{names.get(call.request['restApiId'], call.request['restApiId'])}/{stage['stageName']}"
            labels[f"api/{name}"] = name
            sheet = sheets.of(name)
            told: dict[str, Any] = {key: stage.get(key) for key in _STAGE}
            is_on = bool(stage.get("tracingEnabled"))
            sheet.add(1, "platform", "gateway", call, told)
            sheet.add(1, "switched_off", False if is_on else "tracingEnabled=false", call, told)
            sheet.add(1, "instrumented_by", "API Gateway itself", call)
            sheet.add(6, "created", stage.get("createdDate"), call, told)
            sheet.add(6, "modified", stage.get("lastUpdatedDate"), call, told)
    for call in answers.of(OTHERS):
        for api in call.content["Items"]:
            sheet = sheets.of(str(api.get("Name")))
            told = {key: api.get(key) for key in ("Name", "ApiId", "ProtocolType")}
            if sheet.value("platform") is None:  # a name that a traced service has, too, says nothing about that
                sheet.add(1, "platform", UNTRACED, call, told, "API Gateway traces REST APIs only")
                sheet.add(1, "protocol", str(api.get("ProtocolType")), call, told)
    return labels
