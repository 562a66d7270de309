"""Log lines joined with traces."""
