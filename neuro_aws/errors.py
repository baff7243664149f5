"""The one exception a user is meant to see."""


class NeuroAWSError(Exception):
    """What went wrong, where, and what to do next, in one line.

    Every command turns it into a single line on standard error and exit code 1.
    """

    def __init__(self, what: str, *, where: str = "", next_step: str = "") -> None:
        self.what, self.where, self.next_step = what, where, next_step
        head = f"{where}: {what}" if where else what
        super().__init__(f"{head}. {next_step}" if next_step else head)


class ProtocolError(NeuroAWSError):
    """A protocol that cannot be run as written; carries one line for each fault."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))
