"""What is exported is what was recorded, to the bit, read back by the readers of others."""

import fcntl
import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from neuro_aws import Options, run
from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol import Protocol
from neuro_aws.recording.export import chosen
from neuro_aws.recording.export.chosen import made
from neuro_aws.recording.export.stretches import stretches
from neuro_aws.recording.reader import Run
from tests import spiking
from tests.calls import command
from tests.conftest import TINY

pynwb = pytest.importorskip("pynwb")

TEXT = TINY.replace(
    "record:\n",
    "  both:\n    perturb:\n"
    "      - {silence: {targets: cells}, during: rem, in: critical_period}\n"
    "      - {clamp: {neuromodulator: ach}, in: critical_period, cycles: {from: 2}}\n"
    "record:\n  ach: {every: 2}\n",
)
WHO = ("--experimenter", "Doe, Jane", "--institution", "A school")


@pytest.fixture(scope="module")
def rates(tmp_path_factory) -> Run:
    options = Options(out=str(tmp_path_factory.mktemp("rates")), jobs=1, step="written-out")
    return run(Protocol.from_text(TEXT, "tiny.yaml"), options=options)


@pytest.fixture(scope="module")
def files(rates, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("nwb")
    done = command("export", str(rates.folder), "--out", str(out), "--step-duration", "0.5", *WHO)
    assert done.returncode == 0, done.stderr
    assert "nominal" in done.stdout
    assert {p.name for p in out.iterdir()} == {
        f"s0_{arm}.nwb" for arm in ("control", "rem_silenced", "both")
    }
    return out


@pytest.fixture
def copy(rates, tmp_path) -> Path:
    return Path(shutil.copytree(rates.folder, tmp_path / "run"))


def opened(path):
    return pynwb.NWBHDF5IO(str(path), "r")


def times(series) -> np.ndarray:
    if series.timestamps is not None:
        return series.timestamps[:]
    return series.starting_time + np.arange(len(series.data)) / series.rate


def same_bits(a, b) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("arm", ["control", "both"])
def test_every_signal_is_in_the_file_with_its_unit_and_its_seconds(rates, files, arm):
    with opened(files / f"s0_{arm}.nwb") as io:
        file = io.read()
        held = {**file.acquisition, **file.processing["misc"].data_interfaces}
        groups = {"neuromodulators": "", "plasticity": "", "activity": "activity_"}
        for group, prefix in groups.items():
            for path, units, _ in rates.datasets(0, arm, group):
                parent, name = path.rsplit("/", 1)
                if name in ("phase", "step"):
                    continue
                found = held.pop(prefix + path.split("/", 1)[1].replace("/", "_"))
                clock = parent if group == "activity" else group
                assert same_bits(found.data[:], rates.read(0, arm, path)), path
                assert found.unit == units
                at = rates.read(0, arm, f"{clock}/step") * 0.5
                np.testing.assert_allclose(times(found), at, rtol=0, atol=1e-9, err_msg=path)
        assert not held
        # Every second step of a phase, so no constant rate; and every step, so one.
        assert file.acquisition["ach"].timestamps is not None
        assert file.processing["misc"]["layer1_teaching"].rate == 2.0
        assert "units 0 to 19 of layer 1" in file.acquisition["activity_layer1_soma"].comments


def test_phases_are_sleep_stages_and_perturbations_a_second_table(rates, files):
    with opened(files / "s0_both.nwb") as io:
        file = io.read()
        stages = file.intervals["sleep_stages"].to_dataframe()
        phases = rates.intervals(0, "both", "phases")
        assert stages["stage"].tolist() == [
            {"wake": "wake", "nrem": "NREM", "rem": "REM"}[label] for label in phases["label"]
        ]
        for key in ("start", "stop"):
            assert stages[f"{key}_time"].tolist() == (phases[key] * 0.5).tolist()
            assert stages[f"{key}_step"].tolist() == phases[key].tolist()
        done = file.intervals["perturbations"].to_dataframe()
        assert done["start_time"].tolist() == [21.0, 28.0]
        assert done["stop_time"].tolist() == [28.0, 35.0]
        silence, clamp = sorted(set(rates.intervals(0, "both", "perturbations")["label"]))[::-1]
        assert [sorted(row) for row in done["perturbation"]] == [[silence], [clamp, silence]]
    with opened(files / "s0_control.nwb") as io:
        assert set(io.read().intervals) == {"sleep_stages"}


def test_measures_provenance_and_protocol_are_in_the_file(rates, files):
    with opened(files / "s0_rem_silenced.nwb") as io:
        file = io.read()
        table = file.analysis["measures"].to_dataframe()
        known = rates.metrics.query("arm in ('common', 'rem_silenced')")
        assert same_bits(table["value"], known["value"])
        assert (
            table[["branch", "step", "measure", "layer", "group"]].values.tolist()
            == known[["arm", "step", "name", "layer", "group"]].values.tolist()
        )
        assert table["time"].tolist() == (known["step"] * 0.5).tolist()
        units = dict(zip(table["measure"], table["unit"], strict=True))
        assert units["target_activity"] == "rate"
        assert file.protocol == (rates.folder / "protocol.yaml").read_text()
        assert json.loads(file.scratch["provenance"].data) == rates.provenance
        assert file.scratch["resolved_protocol"].data == rates.protocol.resolved()
        assert "nominal" in file.session_description
        assert "Not finished" not in file.session_description
        assert file.session_start_time.isoformat() == rates.provenance["started"]
        assert ["neuro-aws", rates.provenance["neuro_aws"]] in file.was_generated_by[:].tolist()
        assert file.subject.subject_id == "tiny-s0"
        assert list(file.experimenter) == ["Doe, Jane"]


def test_nwbinspector_suggests_nothing_but_what_is_explained(files):
    pytest.importorskip("nwbinspector")
    from neuro_aws.recording.export.inspection import inspected

    found = list(inspected(files / "s0_rem_silenced.nwb"))
    assert [(f.check, f.where.split()[0], f.grave) for f in found] == [
        ("check_single_row", "perturbations", False)
    ]


def test_an_inspection_ends_in_an_error_over_what_is_grave(files, tmp_path):
    pytest.importorskip("nwbinspector")
    from neuro_aws.cli.export import _inspect

    bad = Path(shutil.copy(files / "s0_control.nwb", tmp_path))
    with h5py.File(bad, "r+") as file:
        del file["general/subject"]
    with pytest.raises(NeuroAWSError, match="finds 1 critical"):
        _inspect([bad])


def test_overlapping_intervals_become_stretches_that_say_what_was_in_force():
    cut = stretches(
        pd.DataFrame({"start": [0, 0, 8, 12], "stop": [5, 9, 9, 14], "label": list("abcd")})
    )
    assert cut.values.tolist() == [
        [0, 5, ["a", "b"]],
        [5, 8, ["b"]],
        [8, 9, ["b", "c"]],
        [12, 14, ["d"]],
    ]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_hold_every_branch_once(rates, tmp_path, kind):
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    done = command("export", str(rates.folder), "--format", kind, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr

    def read(name):
        path = tmp_path / f"{name}.{kind}"
        if kind == "parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, keep_default_na=False, na_values=[""])

    traces = read("traces")
    counts = traces.groupby("arm")["step"].agg(["min", "max", "size"])
    assert counts.loc["common"].tolist() == [0, 41, 42]
    assert counts.loc["both"].tolist() == [42, 69, 28]
    known = rates.traces(0, "both")
    both = pd.concat([traces[traces["arm"] == arm] for arm in ("common", "both")])
    assert both["step"].tolist() == known.step.values.tolist()
    names = rates.phase_codes()
    assert both["phase"].tolist() == [names[int(code)] for code in known.phase.values]
    for name in set(known.data_vars) - {"phase"}:
        assert same_bits(both[name].to_numpy("f4"), known[name].values), name
    measures = read("measures")
    assert same_bits(measures["value"].to_numpy(), rates.metrics["value"].to_numpy())
    assert measures["name"].tolist() == rates.metrics["name"].tolist()
    assert set(measures["unit"]) >= {"rate"}
    intervals = read("intervals")
    mine = intervals.query("arm == 'both' and table == 'perturbations'")
    assert mine["start"].tolist() == [42, 56]
    assert set(intervals.query("arm == 'common'")["table"]) == {"phases"}


def test_one_arm_has_its_trunk_beside_it(rates, tmp_path):
    words = ("--format", "csv", "--arm", "rem_silenced", "--animal", "0")
    assert command("export", str(rates.folder), *words, "--out", str(tmp_path)).returncode == 0
    assert set(pd.read_csv(tmp_path / "traces.csv")["arm"]) == {"common", "rem_silenced"}
    assert set(pd.read_csv(tmp_path / "measures.csv")["arm"]) == {"common", "rem_silenced"}


@pytest.mark.parametrize(("kind", "name"), [("nwb", "s0_both.nwb"), ("csv", "intervals.csv")])
def test_nothing_that_is_there_is_overwritten(rates, tmp_path, kind, name):
    (tmp_path / name).write_text("mine")
    done = command("export", str(rates.folder), "--format", kind, "--out", str(tmp_path))
    assert done.returncode == 1
    assert "is there already" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_what_could_not_be_finished_leaves_nothing(tmp_path):
    def write_half():
        with made(tmp_path / "t.csv") as temporary:
            temporary.write_text("half")
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        write_half()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "module", "extra"), [("nwb", "pynwb", "nwb"), ("parquet", "pyarrow", "tables")]
)
def test_a_missing_library_is_a_line_that_says_what_to_install(
    rates, tmp_path, monkeypatch, kind, module, extra
):
    monkeypatch.setattr(chosen, "find_spec", lambda name: None if name == module else object())
    done = command("export", str(rates.folder), "--format", kind, "--out", str(tmp_path / "o"))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f"pip install 'neuro-aws[{extra}]'" in done.stderr
    assert not (tmp_path / "o").exists()


def test_of_an_unfinished_run_what_is_there_is_exported_and_said_to_be_so(copy, tmp_path):
    data = json.loads((copy / "provenance.json").read_text())
    (copy / "provenance.json").write_text(json.dumps(data | {"outcome": "stopped"}))
    with h5py.File(copy / "recording.h5", "r+") as file:
        del file["s0/both"]
        for name in ("start", "stop", "label"):
            losses = file[f"s0/common/intervals/losses/{name}"]
            losses.resize(1, axis=0)
            losses[0] = {"start": 10, "stop": 14, "label": b"part 1"}[name]
    done = command("export", str(copy), "--arm", "both")
    assert done.returncode == 0, done.stderr
    assert "not finished" in done.stderr
    with opened(copy / "export" / "s0_both.nwb") as io:
        file = io.read()
        assert "Not finished: steps 0 to 41 are here" in file.session_description
        assert len(file.processing["misc"]["layer1_teaching"].data) == 42
        lost = file.invalid_times.to_dataframe()
        assert lost[["start_time", "stop_time"]].values.tolist() == [[10.0, 14.0]]
        assert list(lost["tags"].iloc[0]) == ["part 1"]


def test_a_run_without_a_time_of_its_start_is_refused(copy):
    data = json.loads((copy / "provenance.json").read_text())
    (copy / "provenance.json").write_text(json.dumps(data | {"started": "yesterday"}))
    done = command("export", str(copy), "--arm", "control")
    assert done.returncode == 1
    assert "provenance.json: started is no time ('yesterday')" in done.stderr
    assert not list(copy.glob("export/*"))


def test_nothing_is_written_through_a_link_out_of_the_run(copy, tmp_path):
    (tmp_path / "outside").mkdir()
    (copy / "export").symlink_to(tmp_path / "outside")
    done = command("export", str(copy), "--format", "csv")
    assert done.returncode == 1
    assert "leads out" in done.stderr
    assert not list((tmp_path / "outside").iterdir())


def test_a_run_under_way_is_not_exported(copy):
    with (copy / "run.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        done = command("export", str(copy), "--format", "csv")
    assert done.returncode == 1
    assert "under way" in done.stderr
    assert not (copy / "export").exists()


@pytest.mark.parametrize("kind", ["nwb", "csv"])
def test_a_damaged_recording_is_said_to_be_damaged(copy, kind):
    with h5py.File(copy / "recording.h5", "r+") as file:
        file["s0/common/neuromodulators/ach"].resize(5, axis=0)
    done = command("export", str(copy), "--format", kind)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "unexpected" not in done.stderr
    assert not list(copy.glob("export/*.nwb"))


def test_spikes_are_units_in_biological_time(tmp_path):
    pytest.importorskip("brian2")
    small = ("schedule.0.cycles=1", "schedule.1.cycles=1")
    done = run(
        spiking.protocol(*small), options=Options(out=str(tmp_path), jobs=1, arms=("silenced",))
    )
    refused = command("export", str(done.folder), "--step-duration", "2")
    assert refused.returncode == 1
    assert "0.1 s" in refused.stderr
    assert command("export", str(done.folder)).returncode == 0
    with opened(done.folder / "export" / "s0_silenced.nwb") as io:
        file = io.read()
        units = file.units.to_dataframe()
        assert len(units) == 64 + 12 + 6
        time, cell = (done.read(0, "silenced", f"spikes/{key}") for key in ("time", "neuron"))
        assert len(time) > 0
        for k, row in units.iterrows():
            assert same_bits(row["spike_times"], time[cell == k] / 1000)
        assert units[["layer", "unit"]].iloc[[0, 63, 64, 81]].values.tolist() == [
            [0, 0],
            [0, 63],
            [1, 0],
            [2, 5],
        ]
        assert np.asarray(units["obs_intervals"].iloc[5]).tolist() == [[0.0, 2.1]]
        assert file.units.resolution == 0.001
        counts = file.acquisition["counts_layer1"]
        assert same_bits(counts.data[:], done.read(0, "silenced", "counts/layer1"))
        wide = file.acquisition["counts_layer0"].to_dataframe()
        assert same_bits(np.stack(wide["values"]), done.read(0, "silenced", "counts/layer0"))
        assert wide["time"].tolist() == (np.arange(21) * 0.1).tolist()
        soma = file.acquisition["potentials_soma"]
        assert same_bits(soma.data[:], done.read(0, "silenced", "potentials/soma"))
        assert (soma.unit, soma.conversion) == ("volts", 0.015)
        assert "cells 64, 67" in soma.comments
        np.testing.assert_allclose(
            times(soma), done.read(0, "silenced", "potentials/time") / 1000, rtol=0, atol=1e-9
        )
        assert file.stimulus["label"].data[:].max() <= 1
        assert "biological" in file.session_description
    read_by_sonata(done, time, cell)


def read_by_sonata(done, time, cell):
    """Its spike file says what the recording says, by the guide's layout, a population a layer."""
    assert command("export", str(done.folder), "--format", "sonata").returncode == 0
    first = 0
    with h5py.File(done.folder / "export" / "s0_silenced_spikes.h5") as file:
        assert list(file["spikes"]) == ["layer0", "layer1", "layer2"]
        assert (int(file.attrs["magic"]), file.attrs["version"].tolist()) == (0x0A7A, [0, 1])
        for layer, size in enumerate((64, 12, 6)):
            group = file[f"spikes/layer{layer}"]
            mine = (cell >= first) & (cell < first + size)
            order = np.argsort(time[mine], kind="stable")
            ids = (cell[mine] - first)[order].astype("u8")
            assert same_bits(group["timestamps"][:], time[mine][order])
            assert same_bits(group["node_ids"][:], ids)
            assert group["timestamps"].attrs["units"] == "ms"
            kinds = h5py.check_enum_dtype(group.attrs.get_id("sorting").dtype)
            assert kinds == {"none": 0, "by_id": 1, "by_time": 2}
            assert group.attrs["sorting"] == kinds["by_time"]
            first += size
