"""Workers of Ray Train: a cluster of two nodes trains as processes of one machine do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tasks.night.workers import trainer_of
from tests.tasks.night.test_workers import CONFIG, long_training

pytestmark = [pytest.mark.extras, pytest.mark.slow]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a cluster of two nodes with one processor each."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    node = {"num_cpus": 1, "object_store_memory": 100_000_000}
    nodes = cluster_utils.Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    nodes.add_node(**node)
    yield nodes.address
    nodes.shutdown()


@pytest.mark.filterwarnings("ignore")
def test_a_ray_cluster_of_two_nodes_gives_the_bits_of_two_processes(cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster)
    one, other = long_training(4), long_training(4)
    curve, _ = trainer_of(CONFIG.model_copy(update={"launcher": "ray"}), tmp_path / "ray", 2)(one, None)
    same, _ = trainer_of(CONFIG, tmp_path / "local", 2)(other, None)
    assert curve.loss == same.loss
    assert all(torch.equal(value, other.model.state_dict()[name]) for name, value in one.model.state_dict().items())
