"""What requests cost: calls and time by path and tenant, times a price table."""
