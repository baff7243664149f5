"""The Brian2 backend: the same protocol in two-compartment spiking neurons."""
