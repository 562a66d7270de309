"""Collection gaps, from request counts, silences and orphan spans."""
