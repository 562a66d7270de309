"""Service graph: calls between services, from client and server spans."""
