"""tracekit: investigate recorded distributed traces in Jupyter."""
