"""Runs neuro-aws from a checkout: python cli.py run protocols/quickstart.yaml."""

from neuro_aws.cli import main

main()
