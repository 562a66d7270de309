"""Numbers in, numbers out: intervals, quantiles, histograms and tables that add up.  Nothing here knows a trace."""
