"""Jobs as the indexes list them: by deadline, by status, and those that were set aside."""
