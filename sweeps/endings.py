"""How a trial ends that does not count, as whoever began it is told."""


class InterruptedTrialError(Exception):
    """A trial was left as it stands, to go on another time."""


class SurplusTrialError(Exception):
    """A trial whose place another has."""


class FailedTrialError(Exception):
    """A trial failed by itself; the message is the reason, in a line."""


class SpentError(Exception):
    """A trial failed on a GPU, after which the process may be of no more use; another is to go on."""


class TakenError(Exception):
    """A trial whose process was taken for dead has ended in the store; somebody else goes on with it."""
