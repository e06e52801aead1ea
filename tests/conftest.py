"""What every test process does before the first import of a test.

Linear algebra stays on one thread: several test processes that each start a thread a core would
take the cores from each other.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
