"""Start tracing in every process of tools/regrtest.py, before anything else runs."""

import os

if nframe := int(os.environ.get("MEMSCOPE_REGRTEST_NFRAME", "0")):
    import memscope

    memscope.start(nframe)
