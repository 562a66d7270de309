"""OTLP JSON: the reader of every dialect, the typed reader of lines at speed, and flat span records."""
