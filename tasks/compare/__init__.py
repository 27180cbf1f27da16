"""Differences between the lists of two model versions."""
