"""The cortical network: two-compartment layers, acetylcholine, readout, prior, initial weights."""
