"""The flame view, and its still picture."""
