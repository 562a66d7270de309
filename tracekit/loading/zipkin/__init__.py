"""Zipkin: v2 spans, and v1 spans converted to v2."""
