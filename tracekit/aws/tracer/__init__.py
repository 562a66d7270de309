"""The tables of REL06-BP07's own tracer: records, and what they say together."""
