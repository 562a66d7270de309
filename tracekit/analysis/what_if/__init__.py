"""What-if analysis: request latency with other self times."""
