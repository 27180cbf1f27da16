"""Tests of tasks/experiments."""
