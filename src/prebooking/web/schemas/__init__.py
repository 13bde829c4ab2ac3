"""What requests and responses look like; /openapi.json is generated from these types."""
