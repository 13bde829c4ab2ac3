"""The HTTP surface: routes, identity, and errors that say what to do."""
