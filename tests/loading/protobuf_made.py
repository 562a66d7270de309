"""OTLP protobuf for tests, made by the library of OpenTelemetry: the judge of what the project reads."""

import base64
import struct

from google.protobuf import json_format
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

IDS = ("traceId", "spanId", "parentSpanId")


def in_base64(value):
    """JSON of OTLP as protobuf's JSON has it: ids in base64."""
    if isinstance(value, list):
        return [in_base64(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64encode(bytes.fromhex(one)).decode() if key in IDS else in_base64(one)
        for key, one in value.items()
    }


def message(record):
    """A request in JSON as a message of the library."""
    return json_format.ParseDict(in_base64(record), TracesData())


def protobuf(*records):
    """Requests in JSON as protobuf, one after the other."""
    return b"".join(message(record).SerializeToString() for record in records)


def framed(*payloads):
    """Messages as the collector's file exporter writes them."""
    return b"".join(struct.pack(">I", len(one)) + one for one in payloads)


def varint(number):
    """A number in protobuf."""
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*made, number])


def field(number, content):
    """A field of protobuf: of bytes, a whole number (a varint) or a float (64 bits)."""
    if isinstance(content, bytes):
        return varint(number << 3 | 2) + varint(len(content)) + content
    if isinstance(content, float):
        return varint(number << 3 | 1) + struct.pack("<d", content)
    return varint(number << 3) + varint(content)
