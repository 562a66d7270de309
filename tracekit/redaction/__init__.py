"""Personal data and secrets in texts and in sets of traces: finding, replacing, and proving that none is left.

``kinds``: what there is.  ``patterns``, ``numbers`` and ``scan``: what can be recognised by its form.  ``keys``: what
only its key tells.  ``literals``: values in SQL and URLs.  ``entropy``: secrets without a known form.  ``find`` brings
them together, once for texts of one shape (``shapes``); ``matches``: what is found, as columns; ``tables`` lists the
texts of a set, ``uses`` where they are used.  ``policy`` and ``replace``: what a match becomes; ``apply``: redacted
columns; ``leftover``: search of finished files for what was removed.  ``texts``: masking of texts without keys.
"""

from typing import Final

STANDARD: Final = "default"
"""The policy without options; see ``policy``, which is imported where one is used."""
