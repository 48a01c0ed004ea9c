"""What a process counts and traces of itself. Nothing of a vendor's is imported here: exporters are
loaded by the processes that have them."""
