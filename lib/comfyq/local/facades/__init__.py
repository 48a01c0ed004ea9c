"""Sockets of the APIs of others."""
