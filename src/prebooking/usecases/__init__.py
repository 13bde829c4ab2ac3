"""What the service does, over the ports of the domain."""
