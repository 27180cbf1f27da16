"""Experiments: the row in ops.experiments, who is in which arm, and what may be said about the arms."""

from tasks.experiments.experiment import CHALLENGER, CONTROL, Experiment, ExperimentError, current, experiment_of

__all__ = ["CHALLENGER", "CONTROL", "Experiment", "ExperimentError", "current", "experiment_of"]
