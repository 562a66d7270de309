"""The critical path: who the user waited for, summed, compared, drawn as frames, and how sure it is."""
