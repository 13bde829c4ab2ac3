"""Stand-ins for the outside systems, beside which production code runs unmodified.

They imitate faithfully, bad days included, and are reached by URLs and keys alone: the service can't tell.
Nothing here imports the rest of the package, and only the commands `dev` and `demo` import this.
"""
