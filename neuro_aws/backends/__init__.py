"""The simulators behind one interface (``base``): rates in torch, spikes in Brian2."""
