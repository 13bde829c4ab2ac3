"""`prebooking serve`, told where to ask for names: NAME_SERVER, whose answers may lead to this machine."""

import os
import sys
from functools import partial

from prebooking.cli import main as command
from prebooking.cli.terminal_packages import without_terminal_packages

if __name__ == "__main__":
    with without_terminal_packages():  # as by `serve`, whose memory is measured
        from prebooking import main
        from prebooking.adapters.aimharder.c_ares import look_up
        from prebooking.adapters.aimharder.resolver import Resolver

    ask = partial(look_up, servers=[os.environ["NAME_SERVER"]])
    main.create_app = partial(main.create_app, resolver=Resolver(ask, allowed=lambda _: True))
    sys.argv[1:] = ["serve"]
    command()
