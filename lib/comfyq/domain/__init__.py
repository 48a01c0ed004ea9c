"""What jobs, workflows and graphs are and what may happen to them; not where they are kept."""
