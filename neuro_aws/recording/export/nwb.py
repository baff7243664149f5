"""NWB: one file for each animal and arm. The only module that imports pynwb, an extra.

Values are those of the recording, to the bit; steps become seconds.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hdmf.backends.hdf5 import H5DataIO
from hdmf.common import DynamicTable, VectorData, VectorIndex
from numpy.typing import NDArray
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from pynwb.epoch import TimeIntervals
from pynwb.file import Subject
from pynwb.misc import Units

from neuro_aws.recording.export.about import software, started, texts
from neuro_aws.recording.export.chosen import intervals, made, steps_recorded
from neuro_aws.recording.export.signals import (
    ONE_POTENTIAL,
    Seconds,
    Signal,
    seconds,
    signals,
    spikes,
)
from neuro_aws.recording.export.stretches import stretches
from neuro_aws.recording.export.tables import measures
from neuro_aws.recording.hdf5 import reading
from neuro_aws.recording.reader import Run

SPECIES = "http://purl.obolibrary.org/obo/NCBITaxon_32630"
"""Synthetic construct: NWB wants a species, and no animal was recorded."""

STAGES = {"wake": "wake", "nrem": "NREM", "rem": "REM"}
"""Sleep stages by the name of a phase."""

PROCESSED = ("plasticity", "homeostasis")
"""Groups that go to processing/misc; the others are what an experimenter would have acquired."""

VOLTS = 0.015
"""Of one unit of potential."""

COMPRESSED_FROM = 100_000
"""Bytes."""

Columns = dict[str, tuple[str, Any]]
"""Columns of a table by name: description and values; of a ragged one a list of lists."""


@dataclass(frozen=True)
class People:
    """Who did it, which a run does not know and archives ask for."""

    experimenter: tuple[str, ...] = ()
    """Last, First."""
    institution: str | None = None


def write(
    run: Run, animal: int, arm: str, path: Path, declared: float | None, people: People
) -> None:
    """Write one arm of one animal, the steps of its trunk first."""
    time = seconds(run.protocol.tree.arms[arm].spec, declared)
    with reading(run.folder):  # whatever goes wrong inside is said of the recording
        file = _file(run, animal, arm, time, people)
        for signal in signals(run, animal, arm, time):
            _add(file, signal)
        _add_intervals(file, run, animal, arm, time)
        _add_spikes(file, run, animal, arm, time)
        _add_measures(file, run, animal, arm, time)
    with made(path) as temporary, NWBHDF5IO(str(temporary), "w") as io:
        io.write(file)


def _file(run: Run, animal: int, arm: str, time: Seconds, people: People) -> NWBFile:
    """Return a file with everything that is said of a run, and no data yet."""
    name = run.protocol.spec.name
    file = NWBFile(
        **texts(run, animal, arm, time),
        session_start_time=started(run),
        was_generated_by=software(run),
        experimenter=list(people.experimenter) or None,
        institution=people.institution,
        keywords=["simulation", "sleep", "wake", "REM sleep", "acetylcholine", "plasticity"],
        subject=Subject(
            subject_id=f"{name}-s{animal}",
            description=f"A simulated network, drawn from seed {animal}; age is that of its first "
            "step. No animal was used.",
            species=SPECIES,
            age="P0D",
            sex="U",
        ),
    )
    words = "provenance.json of the run: versions, command, how it ended"
    file.add_scratch(json.dumps(run.provenance, indent=2), name="provenance", description=words)
    words = "the protocol with every default written out"
    file.add_scratch(run.protocol.resolved(), name="resolved_protocol", description=words)
    return file


def _add(file: NWBFile, signal: Signal) -> None:
    """Add a signal where it belongs.

    NWB takes the longest axis for time, so what has more units than rows goes into a table.
    """
    longest = max(signal.values.shape)
    added = _series(signal) if longest == len(signal.values) else _as_table(signal)
    if signal.group in PROCESSED:
        _misc(file).add(added)
    elif signal.name == "label":
        file.add_stimulus(added)
    else:
        file.add_acquisition(added)


def _misc(file: NWBFile) -> Any:
    words = "What the network's plasticity and homeostasis did, by layer"
    return file.processing.get("misc") or file.create_processing_module("misc", words)


def _series(signal: Signal) -> TimeSeries:
    rate, potential = signal.rate, signal.units == ONE_POTENTIAL
    clock: dict[str, Any] = {"timestamps": signal.times}
    if rate is not None:
        clock = {"starting_time": float(signal.times[0]), "rate": rate}
    return TimeSeries(
        name=signal.name,
        data=_packed(signal.values),
        unit="volts" if potential else signal.units,
        conversion=VOLTS if potential else 1.0,
        description=signal.description,
        comments=signal.about or "One value a row.",
        **clock,
    )


def _as_table(signal: Signal) -> DynamicTable:
    columns: Columns = {
        "time": ("s since the first step", signal.times),
        "values": (f"{signal.units}. {signal.about}", _packed(signal.values)),
    }
    return _table(DynamicTable, signal.name, f"{signal.description}, {signal.units}", columns)


def _packed(values: NDArray[Any]) -> Any:
    return values if values.nbytes < COMPRESSED_FROM else H5DataIO(values, compression="gzip")


def _table(kind: Any, name: str, description: str, columns: Columns, **more: Any) -> Any:
    """Return a table; a column of lists is a ragged one."""
    made_of: list[VectorData] = []
    for key, (words, values) in columns.items():
        ragged = isinstance(values, list) and bool(values) and isinstance(values[0], list)
        if not ragged:
            made_of.append(VectorData(name=key, description=words, data=values))
            continue
        ends = np.cumsum([len(items) for items in values])
        flat = VectorData(name=key, description=words, data=[x for items in values for x in items])
        made_of += [flat, VectorIndex(name=f"{key}_index", data=ends, target=flat)]
    return kind(name=name, description=description, columns=made_of, colnames=list(columns), **more)


def _spans(found: pd.DataFrame, time: Seconds) -> Columns:
    """Return the columns of intervals: in seconds, and in steps."""
    start, stop = found["start"].to_numpy(), found["stop"].to_numpy()
    return {
        "start_time": ("s, beginning of the first step", start * time.step),
        "stop_time": ("s, end of the last step", stop * time.step),
        "start_step": ("first step", start),
        "stop_step": ("first step after it", stop),
    }


def _add_intervals(file: NWBFile, run: Run, animal: int, arm: str, time: Seconds) -> None:
    """Add sleep stages, perturbations and what was lost."""
    phases = intervals(run, animal, arm, "phases").sort_values("start")
    if len(phases):
        stages = [STAGES.get(label, label) for label in phases["label"]]
        columns = _spans(phases, time) | {"stage": ("wake, NREM or REM", stages)}
        words = f"Sleep stages of the simulated animal. {time.words}"
        file.add_time_intervals(_table(TimeIntervals, "sleep_stages", words, columns))
    perturbed = stretches(intervals(run, animal, arm, "perturbations"))
    if len(perturbed):
        labels = perturbed["labels"].tolist()
        columns = _spans(perturbed, time) | {"perturbation": ("each that was in force", labels)}
        words = (
            "Stretches within which the same perturbations were in force, each in the stages that "
            "its name says, else in all"
        )
        file.add_time_intervals(_table(TimeIntervals, "perturbations", words, columns))
    lost = intervals(run, animal, arm, "losses").sort_values("start")
    if len(lost):
        columns = _spans(lost, time) | {"tags": ("why", [[label] for label in lost["label"]])}
        words = "Steps whose recording was lost and given up"
        file.invalid_times = _table(TimeIntervals, "invalid_times", words, columns)


def _add_spikes(file: NWBFile, run: Run, animal: int, arm: str, time: Seconds) -> None:
    """Add the spikes of each cell, those that never fired too."""
    found = spikes(run, animal, arm)
    if found is None:
        return
    end = steps_recorded(run, animal, arm) * time.step
    cells = len(found.layers)
    fired = VectorData(
        name="spike_times", description="s since the first step", data=_packed(found.times / 1000)
    )
    watched = VectorData(
        name="obs_intervals",
        description="s; every cell is observed all the time",
        data=np.tile([0.0, end], (cells, 1)),
    )
    layer = VectorData(
        name="layer", description="layer, 0 is shown the stimulus", data=found.layers
    )
    unit = VectorData(name="unit", description="number of the cell in its layer", data=found.units)
    file.units = Units(
        name="units",
        description="Simulated cells, layers one after the other; none was sorted",
        resolution=run.protocol.tree.arms[arm].spec.spiking.dt / 1000,
        columns=[
            fired,
            VectorIndex(name="spike_times_index", data=found.ends, target=fired),
            watched,
            VectorIndex(name="obs_intervals_index", data=np.arange(1, cells + 1), target=watched),
            layer,
            unit,
        ],
        colnames=["spike_times", "obs_intervals", "layer", "unit"],
    )


def _add_measures(file: NWBFile, run: Run, animal: int, arm: str, time: Seconds) -> None:
    """Add what was measured in an arm and in its trunk."""
    table = measures(run)
    mine = table["animal"].eq(animal) & table["arm"].isin(run.branches(animal, arm))
    table = table[mine]
    if not len(table):
        return
    words_of = {key: table[key].astype(str).tolist() for key in ("arm", "period", "unit", "group")}
    columns: Columns = {
        "time": ("s when it was measured", table["step"].to_numpy() * time.step),
        "step": ("steps simulated then", table["step"].to_numpy()),
        "branch": ("the arm, or the run that arms share", words_of["arm"]),
        "period": ("period of the schedule", words_of["period"]),
        "cycle": ("cycles of the period simulated", table["cycle"].to_numpy()),
        "measure": ("what was measured (docs/measures.md)", table["name"].astype(str).tolist()),
        "layer": ("layer, -1: none", table["layer"].to_numpy()),
        "group": ("cells or stimuli it is about", words_of["group"]),
        "value": ("the value", table["value"].to_numpy()),
        "unit": ("unit of the value", words_of["unit"]),
    }
    words = "Measures of the network, with plasticity off and held-out stimuli"
    file.add_analysis(_table(DynamicTable, "measures", words, columns))
