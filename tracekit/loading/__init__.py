"""Reading recorded traces: one file a format, one builder for all."""
