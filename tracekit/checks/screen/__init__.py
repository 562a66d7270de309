"""The first screen: one file a line; ``lines`` puts them in order.

Each line is a finding made of findings that were made before, with their numbers in ``values``; a line that the data do
not support is left out.
"""
