"""What MLflow gets to see of the settings."""

from __future__ import annotations

from tasks.registry.names import flatten


def test_settings_are_flat_short_and_without_passwords() -> None:
    nested = {
        "lake": {"catalog": "postgres:host=db password=hunter2 user=me", "busy_timeout_ms": 5000},
        "registry": {"tracking_uri": "postgresql://me:hunter2@db/mlflow"},
        "text": "x" * 600,
        "weights": {},
        "seed": 7,
    }
    flat = flatten(nested)
    assert flat["lake.catalog"] == "postgres:host=db password=*** user=me"
    assert flat["registry.tracking_uri"] == "postgresql://me:***@db/mlflow"
    assert (len(flat["text"]), flat["weights"], flat["seed"], flat["lake.busy_timeout_ms"]) == (500, "{}", "7", "5000")
