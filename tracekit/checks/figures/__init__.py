"""What to see in each figure of a report: a sentence as a finding, and the rows that the figure shows as evidence.

Sentences describe what was recorded; they do not compare with a null, which is what the checks do.
"""
