"""The pool of processes itself: one that does not end although no work is left for it is killed."""

import time

from workbench import process_pool
from workbench.process_pool import PoolWorker, ProcessPool


def ignore_the_end(connection):
    """Says that it is there, and stays."""
    connection.send("ready")
    time.sleep(600)


class OneProcess(ProcessPool):
    """A pool that dismisses its only process at its first message."""

    def __init__(self):
        super().__init__(ignore_the_end, workers=1)
        self.workers_seen: list[PoolWorker] = []

    def has_work(self):
        return not self.workers_seen

    def on_start(self, worker):
        self.workers_seen.append(worker)

    def on_message(self, worker, message):
        self.dismiss(worker)

    def on_exit(self, worker, reason):
        raise AssertionError("the process ended by itself")


def test_a_process_that_does_not_end_is_killed(monkeypatch):
    monkeypatch.setattr(process_pool, "EXIT_SECONDS", 0.2)
    pool = OneProcess()
    pool.run_processes()
    (worker,) = pool.workers_seen
    assert worker.process.exitcode == -9
    assert pool.processes == []


def test_custom_tasks_find_the_generator_by_its_earlier_name():
    from workbench.tasks import make_generator, seeded

    assert seeded is make_generator
