"""The report of a prediction matrix, section by section."""
