"""A limit on memory that nothing could be done under, said before libraries fail over it."""

import resource

from neuro_aws.errors import NeuroAWSError

LEAST_BYTES = {"": 400_000_000, "torch": 1_500_000_000}
"""Address space to start with: of a command, and of one that imports torch."""

WITH_TORCH = ("run", "evaluate", "plot", "compare", "check-algorithm")


def refuse_little_memory(command: str) -> None:
    """Refuse to start under a limit of the address space (``ulimit -v``) that does not do."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    least = LEAST_BYTES["torch" if command in WITH_TORCH else ""]
    if limit != resource.RLIM_INFINITY and limit < least:
        raise NeuroAWSError(
            f"memory is limited to {limit // 10**6:,} MB (ulimit -v); {command} takes "
            f"{least // 10**6:,} MB to start with",
            next_step="Raise the limit",
        )
