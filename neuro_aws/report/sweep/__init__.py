"""The report of a sweep, section by section."""
