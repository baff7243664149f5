"""Two processes compute what one does on the joint batch, and never drift apart."""

import json
import os
import subprocess
import sys

import pytest
import torch

from neuro_aws.backends.rate.distributed import SharedDraws, Team
from neuro_aws.errors import NeuroAWSError
from neuro_aws.functional.noise import Draws
from tests.conftest import ROOT
from tests.reference.autograd import relative_error
from tests.reference.team_run import simulated

CONV = "network.dcgan={filters: 2, latents: 4, side: 16}"
ALONE = "algorithm.kl=0"  # the KL reads a batch's own mean and variance


STEPS = 12
CASES = {
    "dense": [ALONE],
    "conv": [CONV, ALONE],
    "conv_wake_sleep": [CONV, "algorithm.name=wake_sleep"],
    "normalised": [CONV, "network.batch_norm=affine", "network.prior=learnt"],
}


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """Return what two processes hold after some steps of every case, by its name."""
    folder = tmp_path_factory.mktemp("team")
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
        "--master-port", str(20000 + os.getpid() % 20000),
        "-m", "tests.reference.team_run", str(folder), str(STEPS), json.dumps(CASES),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return {
        case: [torch.load(folder / f"{case}.{rank}.pt", weights_only=True) for rank in range(2)]
        for case in CASES
    }


@pytest.mark.parametrize("case", ["dense", "conv", "conv_wake_sleep"])
def test_two_processes_are_one_where_no_batch_statistic_is_shared(together, case):
    ranks = together[case]
    wanted = simulated(STEPS, CASES[case], Team())
    for name, tensor in wanted.items():
        assert torch.equal(ranks[0][name], ranks[1][name]), name
        # Adam divides by the root of a square: rounding of the sum comes back larger.
        assert relative_error(ranks[0][name], tensor) < 1e-7, name


def test_ranks_stay_together_where_each_normalises_its_own_share(together):
    ranks = together["normalised"]
    for name, tensor in ranks[0].items():
        assert torch.equal(tensor, ranks[1][name]), name
    assert any(
        relative_error(t, ranks[0][k]) > 1e-6
        for k, t in simulated(STEPS, CASES["normalised"], Team()).items()
    )


def test_shares_of_the_draws_are_the_whole():
    def draws() -> Draws:
        return Draws(torch.Generator().manual_seed(0), torch.float64)

    whole = draws().normal(torch.Size((8, 3)))
    parts = [SharedDraws(draws(), Team(r, 4)).normal(torch.Size((2, 3))) for r in range(4)]
    assert torch.equal(torch.cat(parts), whole)


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(NeuroAWSError, match="cannot be shared by 3"):
        Team(0, 3).share(16)
