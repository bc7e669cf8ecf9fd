"""Python imports this at start when its folder is on PYTHONPATH: see ``no_outbound``."""

import no_outbound

no_outbound.install()
