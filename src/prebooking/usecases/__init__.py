"""The use cases of the service, over the ports of the domain."""
