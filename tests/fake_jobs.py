"""A double of the jobs that a launcher starts elsewhere."""


class FakeJobs:
    """Jobs that do one step of their work each time they are asked whether they have ended."""

    names = "42"

    def __init__(self, *steps) -> None:
        self.steps = list(steps)
        self.starts = 0

    def check(self) -> None:
        pass

    @property
    def started(self) -> bool:
        return self.starts > 0

    def start(self) -> str:
        self.starts += 1
        return "2 jobs are submitted, 42"

    def ended(self) -> bool:
        if not self.steps:
            return True
        self.steps.pop(0)()
        return False

    def leave(self) -> str:
        return "no longer waiting"

    def close(self, *, finished: bool) -> None:
        pass
