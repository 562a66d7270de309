"""Requests as others counted them: logs of single requests, and counts."""
