"""OTLP protobuf: told by content, decoded to the records of the tolerant reader, or scanned by the compiled lane."""
