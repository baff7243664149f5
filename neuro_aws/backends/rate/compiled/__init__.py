"""The step of a dense rate network, compiled by numba: the same maths, one call for each half step.

The written-out step (``backends/rate/engine.py`` and what it calls) is the specification. What this
one covers is said by ``backends/rate/forms.py``, which needs neither torch nor numba.
"""
