"""Files of one machine: stored outputs, the worker's spool, journal and locks."""
