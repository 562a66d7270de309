"""From what the user gave to decoded bytes: sources, containers, compressions."""
