"""Cores that may be used: affinity, and the quotas of control groups."""

import os
from pathlib import Path

import pytest

from workbench import cores
from workbench.cli.options import default_workers


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "usable_cores", lambda: 8)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


SLICE = "sys/fs/cgroup/user.slice"
CASES = {
    "no groups": ({}, 8),
    "v2 without a limit": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 8),
    "v2 in a container": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "300000 100000\n"}, 3),
    "v2, 2.5 cores": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"}, 2),
    "v2, half a core": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
    "v2, more than there are": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "1600000 100000\n"}, 8),
    "v2, another period": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "20000 5000\n"}, 4),
    "v2, the limit of a group above": (
        {
            "proc/self/cgroup": "0::/user.slice/session-1.scope\n",
            f"{SLICE}/cpu.max": "200000 100000\n",
            f"{SLICE}/session-1.scope/cpu.max": "700000 100000\n",
        },
        2,
    ),
    "v2, the path on the host": (
        {"proc/self/cgroup": "0::/../../docker/abc\n", "sys/fs/cgroup/cpu.max": "500000 100000\n"},
        5,
    ),
    "v1 in a container": (
        {
            "proc/self/cgroup": "12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/system.slice\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "150000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "50000\n",
        },
        3,
    ),
    "v1 without a limit": (
        {
            "proc/self/cgroup": "4:cpu:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        8,
    ),
    "another controller's": (
        {
            "proc/self/cgroup": "4:cpuset:/\n",
            "sys/fs/cgroup/cpuset/cpu.cfs_quota_us": "100000\n",
            "sys/fs/cgroup/cpuset/cpu.cfs_period_us": "100000\n",
        },
        8,
    ),
    "what cannot be read": ({"proc/self/cgroup": "0::/\nnonsense\n", "sys/fs/cgroup/cpu.max": "many 100000\n"}, 8),
}


@pytest.mark.parametrize("case", CASES)
def test_cores_are_no_more_than_the_groups_have_time_for(case: str, tmp_path: Path, eight_cores: None) -> None:
    files, expected = CASES[case]
    assert cores.available_cores(write(tmp_path, files)) == expected


def test_usable_cores_follow_what_the_system_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.13 counts by itself; Linux knows the cores that a process may run on, macOS and Windows only all."""
    monkeypatch.setattr(os, "process_cpu_count", lambda: 3, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 4}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    assert cores.usable_cores() == 3
    monkeypatch.delattr(os, "process_cpu_count")
    assert cores.usable_cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cores.usable_cores() == 12
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores.usable_cores() == 1


def test_the_default_number_of_workers_is_that_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "usable_cores", lambda: 16)
    monkeypatch.setattr(cores, "cpu_quota", lambda root: 6.0)
    assert default_workers("cpu", 1) == 6
    assert default_workers("cpu", 4) == 1
    assert default_workers("cuda", 1) == 1
    assert default_workers("mps", 1) == 1
