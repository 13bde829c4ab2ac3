"""The schemas of requests and responses, from which /openapi.json is generated."""
