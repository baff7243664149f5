"""What a theory itself descends, on stimuli that it was not trained on."""

from collections.abc import Iterator

import torch

from neuro_aws.algorithms import asked
from neuro_aws.metrics.subject import MOST_STIMULI, Subject, Value


def objective(subject: Subject) -> Iterator[Value]:
    """Mean over held-out stimuli of what the theory descends; noise as the theory has it.

    A value in units of its own: to be compared with itself earlier, not with other theories'.
    Nothing where an algorithm of the user's own does not say what it descends.
    """
    stimuli = subject.dataset.held_out[:MOST_STIMULI]
    with torch.inference_mode(False), torch.no_grad():
        found = asked.objective(
            subject.algorithm, subject.network, stimuli, subject.draws("objective")
        )
    if found is not None:
        yield Value("objective", found)
