"""Who calls whom: calls joined from client and server spans, summed to a graph."""
