"""Stored files on S3. Importing it imports no boto3: the client comes from a factory."""
