"""Numbers in, numbers out: intervals, quantiles, tests, tables that add up.  Nothing here knows a trace."""
