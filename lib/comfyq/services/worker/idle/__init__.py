"""Work of a worker while it has no job."""
