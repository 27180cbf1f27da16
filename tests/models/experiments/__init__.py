"""Tests of models/experiments."""
