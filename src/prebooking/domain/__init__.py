"""The words of the service and its rules, in the standard library alone."""
