"""An MCP server: each workflow of a comfyq server as a tool.

It is a client of the public API, as the command line is, and knows nothing else of comfyq.
"""
