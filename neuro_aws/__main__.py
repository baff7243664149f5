"""python -m neuro_aws."""

import os
import sys

# Python has put the current folder first: a file there that is called numpy.py would be run.
if sys.path and sys.path[0] == os.getcwd() and not __file__.startswith(os.getcwd() + os.sep):
    del sys.path[0]

from neuro_aws.cli import main

main()
