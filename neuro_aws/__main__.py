"""python -m neuro_aws."""

from neuro_aws.cli import main

main()
