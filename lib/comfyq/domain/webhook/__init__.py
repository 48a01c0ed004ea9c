"""Webhooks: what is told of a job, to whom, and how the sender is known.

They follow https://www.standardwebhooks.com; nothing of them changes what a job makes.
"""
