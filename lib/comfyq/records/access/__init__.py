"""What says who may do what, and what was done."""
