"""Checks: everything that makes a claim about traces.

``case`` is what is known about a recording, ``registry`` the table of all checks, ``topics`` the functions that users
call, ``verdicts`` the scale of status; a check takes a ``Case`` and returns findings, one file a check.
"""
