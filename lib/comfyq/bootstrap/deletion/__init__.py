"""What deletes things of tenants."""
