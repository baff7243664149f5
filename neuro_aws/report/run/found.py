"""What a run found, in sentences made from its values."""

from collections.abc import Sequence

import pandas as pd

from neuro_aws.experiment import results
from neuro_aws.plots import outcomes, traces
from neuro_aws.plots.style import readable
from neuro_aws.recording.reader import Run
from neuro_aws.report.document import Section, Sentences, Words
from neuro_aws.report.run import sentences
from neuro_aws.report.wording import Key, listed

MOST_VALUES = 6
"""Values that are compared with the reference in words."""

UNCORRECTED = (
    "The intervals of these differences are 95 % each; they are not corrected for how many "
    "comparisons there are."
)


def section(run: Run, metrics: pd.DataFrame, told: Sequence[str]) -> Section:
    """Return the section; ``told`` are sentences about the recording."""
    judged = results.verdicts(run, metrics)
    compared = differences(run, metrics)
    blocks: list[Words | Sentences] = [Words([sentences.tally(judged)])]
    if judged:
        blocks.append(Sentences([sentences.expected(v) for v in judged]))
    others = [*compared, *told]
    if others:
        blocks.append(Sentences([("", text) for text in others]))
    if compared and len(run.animals) > 1:
        blocks.append(Words([UNCORRECTED]))
    alarms = results.alarms(metrics)
    if alarms:
        blocks.append(Sentences([("alarm", text) for text in alarms]))
    return Section("found", "What was found", blocks)


def differences(run: Run, metrics: pd.DataFrame) -> list[str]:
    """Return sentences about the values that are expected something of, else the first main one."""
    if metrics.empty:
        return ["Nothing has been measured."]
    apart = results.against_reference(run, metrics)
    main = outcomes.main_panels(metrics, run.arms)
    expected = {e.value for e in run.protocol.spec.expect}
    keys: list[Key] = [key for key in main if key[0] in expected] or main[:1]
    references = outcomes.references(run)
    return [
        text
        for key in keys[:MOST_VALUES]
        for text in sentences.against_reference(apart, key, run.arms, references)
    ]


def learning(frames: dict[str, pd.DataFrame], animal: int) -> list[str]:
    """Return in which phases F changed in some arms of an animal; arms alike in one sentence."""
    alike: dict[str, list[str]] = {}
    for arm, frame in frames.items():
        columns = list(traces.series(frame, "plasticity").values())
        if not columns:
            continue
        changed = (frame[columns] > 0).any(axis=1).groupby(frame["phase"])
        shares = {str(phase): (int(flags.sum()), len(flags)) for phase, flags in changed if phase}
        alike.setdefault(sentences.changed_when(shares), []).append(readable(arm))
    return [
        f"Animal {animal}, {listed(arms)}: {text[0].lower()}{text[1:]}"
        for text, arms in alike.items()
    ]
