"""What this release can do and earlier ones could not: sent with each call that hands out work.

A row or session that needs one is not given to a replica of an earlier release: see can_execute and can_refresh in
sql/functions.
"""

CAPABILITIES = ["box_domain", "class", "series"]
