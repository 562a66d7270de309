"""The critical path: computation, totals, comparison, flame graphs, and confidence."""
