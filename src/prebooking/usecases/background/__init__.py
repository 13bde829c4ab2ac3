"""What a replica does beside booking, each task in a loop of its own."""
