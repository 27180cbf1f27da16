"""Interests between lake and models: what the catalogue says about items, and the rows of the tables."""
