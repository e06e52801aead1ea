"""What every test process does before the first import of a test.

Linear algebra stays on one thread: several test processes that each start a thread a core would
take the cores from each other. Hypothesis sets no time limit: a busy machine is not a failure.
"""

import os

from hypothesis import settings

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

settings.register_profile("tierline", deadline=None)
settings.load_profile("tierline")
