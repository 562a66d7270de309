"""AWS X-Ray's segment documents, in every shape that lies on disk.

``xray`` tells the shapes, ``documents`` finds the segments, ``walk`` turns one into spans.  Where nothing is odd,
``fast`` takes many at once, column by column, and the result is the same.
"""
