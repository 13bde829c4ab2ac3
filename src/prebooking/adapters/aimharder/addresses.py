"""Decides which addresses a gym may have: public ones only, never one in this machine's own network.

A box's label comes from a user, and the owner of a name decides what it resolves to. Without this check, either could
direct requests to a machine behind our own firewall. All addresses of a name are checked (resolver.py), and an
execution connects to those addresses only: another look-up might return others.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_UNICAST = IPv6Network("2000::/3")  # all that is global in IPv6, but for NAT64
_NAT64 = IPv6Network("64:ff9b::/96")
# Metadata services of clouds that not every Python version considers private: Oracle's, Azure's.
_METADATA = (IPv4Network("192.0.0.0/24"), IPv4Network("168.63.129.16/32"))


class NotPublicError(OSError):
    """A name resolves to an address that no gym can have."""


@lru_cache(maxsize=1024)
def is_own_machine(host: str) -> bool:
    """Returns whether the host of a URL is this machine.

    Only the operator's URLs can be: no box may have such a name.
    """
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
