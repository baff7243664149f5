"""The torch backend: a network of rate units, step by step."""
