"""Adapters to the outside systems. Code above an adapter does not see its library or its library's exceptions."""
