"""Requests that come through a queue: polled on one machine, brought by SQS on AWS."""
