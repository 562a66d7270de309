"""Requests from sources other than traces: access logs and request counts."""
