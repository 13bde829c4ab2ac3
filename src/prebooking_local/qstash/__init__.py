"""A server that speaks QStash's API, for this machine alone.

An unmodified SDK publishes to it and verifies what it delivers. It differs from the cloud where it must: it
delivers to loopback addresses and listens on nothing else, and its faults can be switched on.
"""

from prebooking_local.qstash.quota import Quota
from prebooking_local.qstash.server import QStash, QStashServer, qstash_app, qstash_server
from prebooking_local.qstash.signing import DEV_CURRENT_KEY, DEV_NEXT_KEY, DEV_TOKEN

__all__ = [
    "DEV_CURRENT_KEY",
    "DEV_NEXT_KEY",
    "DEV_TOKEN",
    "QStash",
    "QStashServer",
    "Quota",
    "qstash_app",
    "qstash_server",
]
