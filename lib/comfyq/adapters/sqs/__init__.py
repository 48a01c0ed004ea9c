"""The queue on SQS. Importing it imports no boto3: the client comes from a factory."""
