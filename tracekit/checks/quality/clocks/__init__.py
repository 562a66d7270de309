"""Clock skew, drift and impossible times."""
