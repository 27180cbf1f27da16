"""Where the runs of the deployments work: in the folder of this code, wherever a worker or an image has it."""

from __future__ import annotations

from pathlib import Path


def enter() -> dict[str, str]:
    """The pull step of prefect.yaml; Prefect goes to the directory that it returns.

    Without it, `prefect deploy` would note the folder of the machine that deploys, which a container does not have.
    """
    return {"directory": str(Path(__file__).resolve().parent.parent)}
