"""A procedural street world: every experiment runs without downloads, and the truth about label shift is known."""
