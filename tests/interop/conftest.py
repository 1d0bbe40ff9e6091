from __future__ import annotations

import os

# These need the public client of 2021 in an environment of its own: `nox -s interop` makes it and says where it is.
collect_ignore_glob = [] if "MIZAR_OLD_PYTHON" in os.environ else ["test_*.py"]
