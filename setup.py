"""What pyproject.toml cannot say: protocols/ is installed as neuro_aws/protocols."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["neuro_aws*"]), "neuro_aws.protocols"])
