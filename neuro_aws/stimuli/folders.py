"""Where data sets lie: the protocol's folder, or the one that $NEURO_AWS_DATA names."""

import os
from pathlib import Path

from neuro_aws.errors import NeuroAWSError

DATA_VARIABLE = "NEURO_AWS_DATA"
"""Environment variable: the folder that holds data sets. ``run --data`` sets it."""


def data_folder(named: str | None, default: str) -> Path:
    """Return the folder the protocol names, or ``default`` in $NEURO_AWS_DATA."""
    if named is not None:
        return Path(named).expanduser()
    if DATA_VARIABLE in os.environ:
        return Path(os.environ[DATA_VARIABLE]).expanduser() / default
    raise NeuroAWSError(
        "no folder given",
        where=f"stimulus: {default}",
        next_step=f"Give --data, or set stimulus.folder, or ${DATA_VARIABLE} to the folder of "
        f"{default}/",
    )
