"""memscope imported, started and stopped inside a subinterpreter: it works or says ImportError."""

import sys

from _support import exercise, ext, m

CODE = """
import sys
sys.path[:0] = {path!r}
try:
    from memscope import _memscope as inner
except ImportError as error:
    assert "interpreter" in str(error), error
else:
    inner.start(2)
    kept = [[i] for i in range(1000)]
    assert inner.is_tracing() and len(inner.take_snapshot()) > 100
    {last}
"""

for outer in (False, True):
    for last in ("inner.stop()", "snapshot = inner.take_snapshot()", "pass"):
        for own_gil in (False, True)[: 2 if sys.version_info >= (3, 12) else 1]:
            if outer:
                m.start(3)
            assert ext.run_in_subinterp(CODE.format(path=sys.path, last=last), own_gil) == 0
            exercise()
            m.take_snapshot() if m.is_tracing() else m.start()
            exercise()
            m.stop()

# The standard library's own way in.
for name in ("concurrent.interpreters", "_interpreters", "_xxsubinterpreters"):
    try:
        interpreters = __import__(name, fromlist=["create"])
    except ImportError:
        continue
    m.start(3)
    for _ in range(3):
        inside = interpreters.create()
        code = "kept = [[i] for i in range(1000)]"
        if hasattr(inside, "exec"):
            inside.exec(code)
            inside.close()
        else:
            getattr(interpreters, "run_string", None) and interpreters.run_string(inside, code)
            interpreters.destroy(inside)
        exercise()
    m.stop()
    print("through", name)
