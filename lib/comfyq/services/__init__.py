"""What the system does: one noun a file, over ports and records alone."""
