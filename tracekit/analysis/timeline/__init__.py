"""Timeline: requests, latency and errors over time, deployments, and what changed when."""
