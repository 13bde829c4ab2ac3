"""The background tasks of a replica, each in a loop of its own."""
