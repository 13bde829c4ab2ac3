"""Stand-ins for the outside systems: local servers, with which the production code runs unmodified.

They imitate the real systems, including their failures, and are reached only by URLs and keys. Nothing here imports the
rest of the package, and only the commands `dev` and `demo` import this.
"""
