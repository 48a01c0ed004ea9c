"""What a worker does while it has no job."""
