"""AWS's own services for secrets as places: SSM Parameter Store and Secrets Manager."""
