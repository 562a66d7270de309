"""Log lines and traces: which span wrote which line, templates of messages, and templates that are new."""
