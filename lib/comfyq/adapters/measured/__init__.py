"""Ports that count the calls of the adapter within."""
