"""Callers of the sender of webhooks: a task on one machine, a queue's function on AWS."""
