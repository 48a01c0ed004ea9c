"""HTTP/1.1 as ComfyUI is asked with it: a few requests a job, each of which has to cost little.

A client that can do everything enters some 110 functions of Python for each request. Here httptools
parses answers, a request is bytes that are written once, and who asks waits once.
"""
