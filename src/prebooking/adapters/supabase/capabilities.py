"""The abilities of this release that earlier releases lack, sent with each call that returns work.

A row or session that needs one is not given to a replica of an earlier release: see can_execute and can_refresh in
sql/functions.
"""

CAPABILITIES = ["box_domain", "class", "series"]
