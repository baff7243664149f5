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


FOLDERS = {"mnist": "mnist", "fashion_mnist": "fashion-mnist", "cifar10": "cifar-10-batches-py"}
"""The folder of every data set that is not embedded, by its source."""


def refuse_missing(source: str, named: str | None) -> None:
    """Refuse, before a run starts, a data set whose folder is not there."""
    if source not in FOLDERS:
        return
    folder = data_folder(named, FOLDERS[source])
    if not folder.is_dir():
        raise NeuroAWSError(
            "no such folder",
            where=f"stimulus: {source}: {folder}",
            next_step=f"Give --data FOLDER, the one that holds {FOLDERS[source]}/",
        )
