"""Broken context propagation and retries as new traces."""
