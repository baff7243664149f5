"""Two-compartment layers: each owns the feedforward and feedback weights of one pair of layers."""
