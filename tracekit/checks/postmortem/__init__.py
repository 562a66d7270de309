"""The sections of a postmortem: one file a section; ``result`` is what they make together.

Every sentence is a finding: one of the checks, or one made of results that the checks have computed.
"""
