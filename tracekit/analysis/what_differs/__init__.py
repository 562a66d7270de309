"""Attribute values that set some traces apart from others."""
