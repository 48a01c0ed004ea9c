"""Table and queue of one machine, in one SQLite file that several processes share."""
