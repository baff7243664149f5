"""Dreams beside stimuli, receptive fields; of spikes, who fires when."""

import numpy as np

from neuro_aws.plots import receptive_fields
from neuro_aws.plots.images import Bytes, as_png, strip, tiled
from neuro_aws.plots.style import as_png as figure_png
from neuro_aws.plots.style import readable, styled
from neuro_aws.protocol.backends import backend_of
from neuro_aws.protocol.columns import picture_shape
from neuro_aws.protocol.registry import load
from neuro_aws.recording.reader import Run
from neuro_aws.report.document import Picture, Section, Table, Words
from neuro_aws.report.wording import counted

MOST_ARMS = 6
"""Arms whose dreams are shown."""

DREAMS, COLUMNS = 32, 8
ENLARGED = 320
"""Pixels that a sheet is wide, about."""


def dreams(run: Run, animal: int) -> Section:
    """Return stimuli with what the network makes of them, and the dreams of every arm."""
    title = "Dreams beside stimuli"
    spec = run.protocol.spec
    if backend_of(spec).seconds or picture_shape(spec) is None:
        return Section("dreams", title, [Words(["Left out: no dreams were kept as pictures."])])
    blocks: list[Picture | Words] = []
    for arm in run.arms[:MOST_ARMS]:
        kept = run.pictures(animal, arm).isel(step=-1)
        step = int(kept["step"])
        if not blocks:
            blocks.append(_predicted(kept.predicted.to_numpy(), arm, animal, step))
        blocks.append(_dreamt(kept.dreams.to_numpy(), kept.predicted.to_numpy(), arm, step))
    left = len(run.arms) - MOST_ARMS
    if left > 0:
        blocks.append(Words([f"{counted(left, 'more arm')} in the run's folder of figures."]))
    return Section("dreams", title, blocks)


def _predicted(images: Bytes, arm: str, animal: int, step: int) -> Picture:
    count, depth = images.shape[:2]
    return Picture(
        f"Stimuli, and what comes back of them ({readable(arm)}, animal {animal})",
        f"Top row: {count} stimuli. Below them their reconstructions from layers 1 to {depth - 1}.",
        f"A column is a stimulus; row 1 is the stimulus, row 1 + k what comes back from k layers "
        f"up and down. After step {step:,}.",
        _enlarged(strip(images)),
        pixels=True,
    )


def _dreamt(images: Bytes, predicted: Bytes, arm: str, step: int) -> Picture:
    grey, seen = images.astype(float), predicted[:, 0].astype(float)
    rows = [
        ("stimuli above", f"{seen.mean():.1f}", f"{seen.std(axis=0).mean():.1f}"),
        (f"dreams, {readable(arm)}", f"{grey.mean():.1f}", f"{grey.std(axis=0).mean():.1f}"),
    ]
    shown = images[:DREAMS]
    return Picture(
        f"Dreams, {readable(arm)}",
        f"{len(shown)} pictures that the network generated in REM in {readable(arm)}: mean grey "
        f"level {rows[1][1]} of 255, the stimuli's {rows[0][1]}.",
        f"Generated in REM after step {step:,}; dreams at one place in two arms come from the same "
        "random draws.",
        _enlarged(tiled(shown, COLUMNS)),
        Table(
            "Grey levels, 0 to 255",
            ("pictures", "mean", "standard deviation between pictures, mean over pixels"),
            rows,
        ),
        pixels=True,
    )


def _enlarged(sheet: Bytes) -> bytes:
    return as_png(sheet, max(1, round(ENLARGED / sheet.shape[1])) if sheet.shape[1] < 160 else 1)


def fields(run: Run, animal: int) -> Section:
    """Return the receptive fields of cells of layer 1 at the branch and at the end."""
    title = "Receptive fields"
    if backend_of(run.protocol.spec).seconds:
        return Section(
            "fields", title, [Words(["Left out: fields of spiking cells are not drawn."])]
        )
    with styled():
        drawn = receptive_fields.draw(run, animal, run.arms)
    if drawn is None:
        return Section("fields", title, [Words(["Left out: stimuli are no pictures."])])
    name, ids, _ = receptive_fields.chosen_cells(run, animal)
    rows = []
    for arm in run.arms:
        made = receptive_fields.of_arm(run, animal, arm, ids)
        if made is not None:
            lengths = [
                np.sqrt(np.mean(np.square(w))) for w in (made.before, made.after, made.change)
            ]
            rows.append((readable(arm), *(f"{length:.4g}" for length in lengths)))
    return Section(
        "fields",
        title,
        [
            Picture(
                f"Feedforward weights into layer 1, animal {animal}",
                f"Weights from the stimulus into {readable(name)} and into other cells of layer 1, "
                "as pictures: at the branch, at the end of each arm, and what changed. Their sizes "
                "are in the numbers behind this figure.",
                "Red positive, blue negative; each cell has its own scale, all changes share one.",
                figure_png(drawn),
                Table(
                    f"Root mean square of the weights into {readable(name)}",
                    ("arm", "at the branch", "at the end", "of the change"),
                    rows,
                ),
            )
        ],
    )


def spikes(run: Run, animal: int) -> Section:
    """Return the figure of a spiking run, as it is drawn after the run."""
    arm = run.arms[0]
    with styled():
        drawn = load(backend_of(run.protocol.spec).figure)(run, animal, arm)
    return Section(
        "spikes",
        "Spikes",
        [
            Picture(
                f"{readable(arm)}, animal {animal}",
                f"Spikes, potentials or rates of {readable(arm)}, as `neuro-aws plot` draws them; "
                "every spike's time is in recording.h5.",
                "As drawn in the run's figures; other arms: neuro-aws plot RUN --arm.",
                figure_png(drawn),
            )
        ],
    )
