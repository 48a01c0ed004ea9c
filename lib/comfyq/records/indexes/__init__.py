"""Jobs as they are listed: by deadline, status or turn; those set aside, and followed ones."""
