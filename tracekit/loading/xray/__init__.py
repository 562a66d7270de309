"""AWS X-Ray's segment documents, in every shape that is saved to disk.

``loader`` recognises the shapes, ``documents`` finds the segments, ``walk`` converts one to spans.  ``fast`` reads many
regular segments at once, column by column, with the same result.
"""
