"""`python -m prebooking.local.aimharder --port 9000`"""

import argparse
import gc

from prebooking.local.aimharder.server import aimharder_server
from prebooking.local.serving import run

parser = argparse.ArgumentParser(prog="python -m prebooking.local.aimharder", description="A local AimHarder.")
parser.add_argument("--port", type=int, default=9000, help="0 takes a free one (default: %(default)s)")
port = parser.parse_args().port
gc.freeze()  # what was imported stays; a collection in the middle of an opening needn't look at it
run(aimharder_server(port))
