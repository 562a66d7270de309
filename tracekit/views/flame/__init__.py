"""The flame graph: interactive widget and static image."""
