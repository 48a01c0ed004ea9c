"""Texts, made fit to be shown."""
