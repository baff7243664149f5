"""python -m neuro_aws."""

from neuro_aws.commands import main

main()
