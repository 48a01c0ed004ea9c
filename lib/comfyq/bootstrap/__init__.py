"""The composition root: the only package that chooses adapters.

Nothing here connects, imports boto3 or touches the disk before it is used: a cold start pays for
what its first request needs and no more.
"""
