"""Capacity of a Ray cluster, lost actors, and addresses without a cluster; tested without Ray."""

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from workbench.errors import UserError
from workbench.launchers import ray_cluster
from workbench.launchers.ray_cluster import (
    ActorKind,
    ActorLostError,
    RayCluster,
    check_ray,
    check_reachable,
    loss_reason,
)

WORKER = ActorKind(name="worker", remedy="ask for fewer --threads", cpus=3)


class FakeRay:
    """The part of the module `ray` that counts nodes."""

    def __init__(self, *nodes):
        self._nodes = nodes

    def nodes(self):
        return list(self._nodes)


def node(address, alive=True, **resources):
    return {"Alive": alive, "NodeManagerAddress": address, "Resources": resources}


@pytest.mark.parametrize(
    ("cpus", "gpus", "capacity"), [(1, 0, 11), (2, 0, 5), (4, 0, 2), (8, 0, 1), (1, 1, 2), (1, 0.5, 4)]
)
def test_capacity_is_counted_node_by_node_among_those_alive(cpus, gpus, capacity):
    nodes = node("a", CPU=8.0, GPU=2.0), node("b", CPU=3.0), node("c", alive=False, CPU=64.0), node("a", memory=1.0)
    cluster = RayCluster(ray=FakeRay(*nodes), kind=replace(WORKER, cpus=cpus, gpus=gpus))
    assert cluster.capacity() == capacity


def test_a_worker_that_no_node_can_take_is_refused():
    cluster = RayCluster(ray=FakeRay(node("a", CPU=2.0)), kind=WORKER)
    with pytest.raises(UserError, match=r"no node .* 3 CPU for a worker; ask for fewer --threads"):
        cluster.capacity()


class RayError(Exception):
    """A stand-in for Ray's base class of errors."""


def test_lost_calls_raise_and_others_return_their_results():
    def get(call):
        if call == "lost":
            raise RayError("The actor died.\n\tactor_id: 1")
        return 7

    def wait(calls, timeout, fetch_local):
        if "lost" in calls:
            raise RayError("no GCS\nmore")
        return calls[:1], calls[1:]

    fake_ray = SimpleNamespace(get=get, wait=wait, exceptions=SimpleNamespace(RayError=RayError))
    cluster = RayCluster(ray=fake_ray, kind=WORKER)
    assert cluster.result("a call") == 7
    with pytest.raises(ActorLostError, match=r"^The actor died\.$"):
        cluster.result("lost")
    assert cluster.wait(["a", "b"], 1.0) == ["a"]
    with pytest.raises(UserError, match="the Ray cluster is lost: no GCS; run the same command"):
        cluster.wait(["lost"], 1.0)


def test_missing_ray_is_a_line_that_names_the_extra(monkeypatch):
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs Ray: pip install 'sequence-workbench\[ray\]'"):
        check_ray(None)


@pytest.mark.parametrize(
    ("address", "code", "message"),
    [
        ("host:1", "import time; time.sleep(60)", "no Ray cluster answers at 'host:1' within 1 s"),
        ("auto", "raise ConnectionError('Found none. Give --address')", "can be used at 'auto': Found none; name one"),
        ("ray://host:1", "pass", "must be auto or HOST:PORT, not 'ray://host:1'"),
    ],
)
def test_an_address_without_a_cluster_is_an_error_of_one_line(monkeypatch, address, code, message):
    monkeypatch.setattr(ray_cluster, "CONNECT_SCRIPT", code)
    monkeypatch.setattr(ray_cluster, "CONNECT_TIMEOUT_SECONDS", 1)
    with pytest.raises(UserError, match=message) as raised:
        check_reachable(address)
    assert "\n" not in str(raised.value)


def test_the_reason_of_a_loss_is_its_first_line_or_the_exception():
    assert loss_reason(Exception("The actor died.\n\tclass_name: WorkerActor\n\tactor_id: 1")) == "The actor died."
    trace = "The actor died in its creation: ray::WorkerActor\n  File x\n"
    trace += "KeyError: 'y'\nModuleNotFoundError: No module named 'sweeps'\n"
    assert loss_reason(Exception(trace)) == "ModuleNotFoundError: No module named 'sweeps'"
    assert loss_reason(ValueError()) == "ValueError"


def test_ray_is_imported_only_where_it_is_used():
    code = "import workbench.launchers.ray_jobs, sys; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
