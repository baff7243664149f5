"""Pure tensor maths: no state, no files, no random seeds of its own."""
