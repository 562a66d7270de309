"""The queue between the shop and its mail: a PRODUCER span at one end, a linked CONSUMER span at the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import context, trace
from opentelemetry.trace import Link, SpanKind
from telemetry import PROPAGATOR
from web import Call, Service

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing import Queue

SYSTEM = "shop_queue"  # a pipe between two processes, not one of the systems in the semantic conventions


def publish(call: Call, queue: Queue[dict[str, Any] | None], destination: str, body: dict[str, Any]) -> None:
    """Put a message on the queue, with the trace context in its headers."""
    message_id, headers = f"{destination}/{call.number}", dict[str, str]()
    with call.span(f"send {destination}", SpanKind.PRODUCER, _attributes(destination, "send", message_id)):
        PROPAGATOR.inject(headers)
        queue.put({"id": message_id, "number": call.number, "body": body, "headers": headers})


def consume(
    service: Service, queue: Queue[dict[str, Any] | None], destination: str, handle: Callable[[Call], None]
) -> None:
    """Process messages until the queue is closed."""
    while (message := queue.get()) is not None:
        producer = PROPAGATOR.extract(message["headers"])
        sent_by = trace.get_current_span(producer).get_span_context()
        token = context.attach(producer)
        try:
            with service.tracer.start_as_current_span(
                f"process {destination}",
                kind=SpanKind.CONSUMER,
                links=[Link(sent_by)],
                attributes=_attributes(destination, "process", message["id"])
                | {"messaging.consumer.group.name": service.name},
                record_exception=False,
                set_status_on_exception=False,
            ):
                handle(Call(service, message["number"], body=message["body"]))
        finally:
            context.detach(token)


def _attributes(destination: str, operation: str, message_id: str) -> dict[str, str]:
    """Return the attributes of both PRODUCER and CONSUMER spans."""
    return {
        "messaging.system": SYSTEM,
        "messaging.destination.name": destination,
        "messaging.operation.type": operation,
        "messaging.operation.name": operation,
        "messaging.message.id": message_id,
    }
