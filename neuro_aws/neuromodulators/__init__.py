"""Neuromodulator #1 (ACh, the wake/sleep discriminator) and #2 (the switch of the drive)."""
