"""The waterfall: its rows, what lies over them, two traces in one, and its still picture."""
