"""Service level objectives: the share of good requests, the error budget, burn rates, and what spent the budget."""
