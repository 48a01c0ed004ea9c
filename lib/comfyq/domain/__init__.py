"""Jobs, workflows and graphs, and the rules of their changes; nothing about storage."""
