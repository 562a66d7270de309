"""Tables of spans that other tools write: a layout turns each row into an OTLP request, which is read like any other.

A layout is a file with a ``Layout``, and an entry of ``layouts.LAYOUTS``.
"""
