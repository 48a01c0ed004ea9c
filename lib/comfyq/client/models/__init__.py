"""What the server tells, as frozen dataclasses that read whatever they know."""
