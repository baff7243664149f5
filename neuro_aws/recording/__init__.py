"""What is kept of a run: HDF5 written as it happens, metrics, and how to read both back."""
