"""The extension is thrown out of sys.modules and imported again while its hooks are live."""

import gc
import importlib
import sys

from _support import exercise, ext

for cycle in range(20):
    module = importlib.import_module("memscope._memscope")
    module.start(1 + cycle)
    block = ext.malloc(2, 7919)
    snapshot = module.take_snapshot()
    assert block in {snapshot.address(i) for i in range(len(snapshot))}
    del snapshot
    if cycle % 2:
        module.stop()
    for name in [name for name in sys.modules if name.split(".")[0] == "memscope"]:
        del sys.modules[name]
    del module
    if "_support" in sys.modules:
        vars(sys.modules["_support"]).pop("m", None)
    gc.collect()
    exercise()
    ext.free(2, block)
module = importlib.import_module("memscope._memscope")
module.stop()
assert not module.is_tracing()
exercise()
