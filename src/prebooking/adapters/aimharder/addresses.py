"""Where a gym may be: at public addresses, never in the network that this machine stands in.

A box's label is a user's word, and what a name resolves to is up to whoever owns it: without this, either could lead
us to a machine behind our own firewall. All addresses of a name are looked at (resolver.py), and an execution connects
to those alone: another look-up might answer otherwise.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_UNICAST = IPv6Network("2000::/3")  # all that is global in IPv6, but for NAT64
_NAT64 = IPv6Network("64:ff9b::/96")
# Those of some clouds' metadata that no Python or not every Python takes for private: Oracle's, Azure's.
_METADATA = (IPv4Network("192.0.0.0/24"), IPv4Network("168.63.129.16/32"))


class NotPublicError(OSError):
    """A name leads to an address where no gym can be."""


@lru_cache(maxsize=1024)
def is_own_machine(host: str) -> bool:
    """Whether a URL names this machine, literally. Only the operator's can: no box may be called so (NO_BOXES)."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast and not any(address in one for one in _METADATA)
    within = address.sixtofour or (IPv4Address(address.packed[-4:]) if address in _NAT64 else None)
    if within is not None:
        return is_public(within)
    return address in _UNICAST and address.is_global
