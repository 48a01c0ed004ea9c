"""Jobs as they are listed: by deadline, by status, those that were set aside, followed ones."""
