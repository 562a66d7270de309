"""Checks: everything that makes a claim about traces."""
