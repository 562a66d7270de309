"""The coverage of a tracing system: metrics M1 to M10, and the funnel from request to searchable trace."""
