"""Beside another interpreter the hooks stay where they are, and the arenas are not known."""

import sys

from _support import DEBUG, m, quick_start, skip

try:
    if sys.version_info >= (3, 13):
        import _interpreters as interpreters
    else:
        import _xxsubinterpreters as interpreters
except ImportError as error:
    skip(f"no module to make an interpreter with: {error}")

alone = m.pymalloc_memory()
if isinstance(alone, str):
    skip(f"the arenas are not known: {alone}")
other = interpreters.create()
assert isinstance(m.pymalloc_memory(), tuple), "nothing has to be moved to ask"
quick_start()
told = m.pymalloc_memory()
if DEBUG and sys.version_info >= (3, 12):
    # With CPython's debug hooks it looks below them, whatever is above: nothing to move again.
    assert isinstance(told, tuple) or "other interpreters" in told, told
else:
    assert isinstance(told, str) and "other interpreters" in told, told
code = (
    "from memscope import _memscope as m; told = m.pymalloc_memory();"
    "assert isinstance(told, str) and 'main' in told, told"
)
assert interpreters.run_string(other, code) is None
interpreters.destroy(other)
assert isinstance(m.pymalloc_memory(), tuple)
m.stop()
