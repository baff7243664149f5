"""Kernels compiled by numba (the extra ``fast``): elementwise work in one pass over memory.

Each does what a function of ``functional`` says in torch, which stays the specification and what
runs without numba; ``functional/fused.py`` says when a kernel stands in.
"""
