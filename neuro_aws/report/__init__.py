"""Reports: what was asked and found, on one page that needs nothing but a browser."""
