"""From spans of any format to the columns of a set: batches, interning, the ledger of issues, settling."""
