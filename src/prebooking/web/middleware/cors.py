"""CORS: the origins of web pages that may call the API."""

import re
from collections.abc import Sequence

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

_PART_OF_A_LABEL = "[a-z0-9_-]+"


def cors(origins: Sequence[str]) -> Middleware:
    """Returns the middleware. `*` alone allows every origin; within a host it matches a part of one label."""
    patterns = [one for one in origins if "*" in one and one != "*"]
    regexes = [re.escape(one).replace(r"\*", _PART_OF_A_LABEL) for one in patterns]
    return Middleware(
        CORSMiddleware,
        allow_origins=[one for one in origins if one not in patterns],
        allow_origin_regex="|".join(regexes) or None,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "X-Request-Id"],
        expose_headers=["X-Request-Id", "Retry-After"],
    )
