"""How tracekit draws: waterfalls, maps, charts and their static pictures."""
