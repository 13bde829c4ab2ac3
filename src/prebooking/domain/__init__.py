"""The service's terms and rules. It uses the standard library only."""
