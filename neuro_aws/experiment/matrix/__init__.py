"""Prediction matrices: theories put through manipulations, from the file to table and figures."""
