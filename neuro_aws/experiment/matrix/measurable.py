"""Whether what a matrix measures is there to be measured, said before anything is run."""

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.matrix import Matrix
from neuro_aws.protocol.measures import VALUES
from neuro_aws.protocol.projections import units
from neuro_aws.protocol.schema import ProtocolSpec


def refuse_unmeasured(matrix: Matrix, block: str, spec: ProtocolSpec, where: str) -> None:
    """Refuse values, layers and targets that a block's protocol has not, under a theory."""
    taken = {measure.measure for measure in spec.measure}
    top = len(units(spec.network)) - 1
    for name in matrix.spec.blocks[block].manipulations:
        asked = matrix.spec.measured(block, name)
        measure = VALUES[asked.value].name if asked.value else ""
        if measure and measure not in taken:
            raise _refusal(where, name, f"{asked.value} is not measured", f"measure: [{measure}]")
        if asked.layer is not None and not 1 <= asked.layer <= top:
            raise _refusal(where, name, f"layer {asked.layer} is none", f"Layers are 1 to {top}")
        if asked.targets is not None and asked.targets not in spec.targets:
            known = ", ".join(spec.targets) or "none"
            raise _refusal(where, name, f"no targets {asked.targets!r}", f"Targets: {known}")


def _refusal(where: str, manipulation: str, what: str, next_step: str) -> NeuroAWSError:
    return NeuroAWSError(what, where=f"{where}: {manipulation}", next_step=next_step)
