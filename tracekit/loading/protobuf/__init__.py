"""OTLP protobuf, recognised by content: decoded to the records of the tolerant reader, or by the compiled lane."""
