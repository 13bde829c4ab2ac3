"""`python -m prebooking_local.aimharder --port 9000`"""

import argparse
import gc

from prebooking_local.aimharder.server import aimharder_server
from prebooking_local.serving import run

parser = argparse.ArgumentParser(prog="python -m prebooking_local.aimharder", description="A local AimHarder.")
parser.add_argument("--port", type=int, default=9000, help="0 takes a free one (default: %(default)s)")
port = parser.parse_args().port
gc.freeze()  # what was imported stays; a collection in the middle of an opening needn't look at it
run(aimharder_server(port))
