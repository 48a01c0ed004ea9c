"""What jobs, subscriptions and workers are in the table's items: written once, for every engine."""
