"""The outside systems, one a file. Nothing above an adapter sees its library or its library's exceptions."""
