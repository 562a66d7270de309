"""Log lines: JSON lines, OTLP logs, CloudWatch exports and plain text, as one table."""
