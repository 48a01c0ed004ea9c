"""The table on DynamoDB. Importing it imports no boto3: the client comes from a factory."""
