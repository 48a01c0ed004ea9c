"""Webhooks: their services, and what serves them."""
