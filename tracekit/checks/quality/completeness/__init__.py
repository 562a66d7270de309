"""Missing spans, lost calls, incomplete traces."""
