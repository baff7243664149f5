"""What is done with a protocol: run it, resume it, measure, compare, look at the results."""
