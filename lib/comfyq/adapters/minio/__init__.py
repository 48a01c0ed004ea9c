"""Stored files on MinIO or any S3. Importing it does not import the ``minio`` client."""
