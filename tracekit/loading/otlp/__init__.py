"""OTLP JSON: a tolerant reader of every dialect, a fast reader of lines, and flat span records."""
