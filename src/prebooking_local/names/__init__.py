"""A name server on UDP whose names resolve at once, late, never or wrongly, as they are put up."""

from prebooking_local.names.server import NameServer, Zone, name_server

__all__ = ("NameServer", "Zone", "name_server")
