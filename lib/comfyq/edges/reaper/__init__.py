"""Callers of the reaper: a loop on one machine, a schedule on AWS."""
