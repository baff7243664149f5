"""A run in formats of others: NWB files, tidy tables."""
