"""Who requests waited for, what changed between two sets, and what if."""
