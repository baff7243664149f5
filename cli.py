"""Runs neuro-aws from a checkout: python cli.py run protocols/quickstart.yaml."""

from neuro_aws.cli import main

# Worker processes import this file again: unguarded, each of them would start the command anew.
if __name__ == "__main__":
    main()
