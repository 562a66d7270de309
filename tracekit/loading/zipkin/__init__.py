"""Zipkin: v2 spans, and v1 spans said in v2's words."""
