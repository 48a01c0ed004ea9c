"""The use cases of the system, over ports and records alone."""
