"""The gym behind names, for which the replicas ask a name server of ours."""

import os
from functools import partial

from prebooking.adapters.aimharder.c_ares import look_up
from prebooking.adapters.aimharder.resolver import Resolver
from prebooking_local.names import NameServer
from prebooking_local.stack import Stack

ZONE = "gym.test"  #: below which all boxes are, and the account host
_SERVER = "NAME_SERVER"


def by_name(stack: Stack, names: NameServer, zone: str = ZONE) -> dict[str, str]:
    """The environment of a replica that finds the gym by name."""
    port = stack.aimharder_url.rpartition(":")[2]
    return {
        _SERVER: names.address,
        "AIMHARDER_BOX_URL": f"http://{{box}}.{zone}:{port}",
        "AIMHARDER_ACCOUNT_URL": f"http://account.{zone}:{port}",
        "AIMHARDER_LOGIN_URL": f"http://login.{zone}:{port}",
    }


def resolver() -> Resolver | None:
    """In a replica: asks that name server, if there is one, and believes it whatever it says."""
    server = os.environ.get(_SERVER)
    return Resolver(partial(look_up, servers=[server]), allowed=lambda _: True) if server else None
