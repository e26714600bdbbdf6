"""What the commands do: sources, transforms and tables, in reading order."""
