"""Commands for what holds for one tenant."""
