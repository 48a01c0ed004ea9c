"""What receivers of webhooks are told, in the words of the HTTP API."""
