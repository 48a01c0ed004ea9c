"""Calling a route and its dependencies with what they take of a request."""
