"""The HTTP interface: routes, authentication, and errors that say what to do."""
