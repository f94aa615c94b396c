"""One thread for the suite and its child processes: on small tensors, beside other work, two are slower than one."""

from __future__ import annotations

import os

# Read when torch and the linear algebra libraries are first imported, which is after this.
os.environ.setdefault("OMP_NUM_THREADS", "1")
