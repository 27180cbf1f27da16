"""Experiments: who is in which arm, what may be said about the difference of two arms, and estimates from logged lists."""
