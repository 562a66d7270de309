"""google.rpc.Status of an answer."""

import json

from google.protobuf.internal.decoder import _DecodeVarint32 as varint


def status_of(answer, content_type="application/x-protobuf"):
    """The code and the message."""
    if content_type != "application/x-protobuf":
        found = json.loads(answer)
        return found["code"], found["message"]
    assert answer[0] == 1 << 3, "the code"
    code, at = varint(answer, 1)
    assert answer[at] == 2 << 3 | 2, "the message"
    size, at = varint(answer, at + 1)
    assert at + size == len(answer)
    return code, answer[at:].decode()
