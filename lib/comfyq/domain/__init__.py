"""What jobs, workflows and graphs are and what may happen to them; nothing of where they are kept."""
