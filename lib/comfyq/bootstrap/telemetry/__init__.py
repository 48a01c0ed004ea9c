"""Metrics and traces of a process, wired to what exports them."""
