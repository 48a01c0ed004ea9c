"""Values of options, as they are typed."""
