"""A process that only loads modules has nothing to explain."""

import contextlib
import importlib

from _memory import explain, known, now
from _support import m

known("anonymous")

FIRST = """
    asyncio concurrent.futures ctypes.util decimal difflib doctest email.mime.multipart http.server
    multiprocessing.pool pydoc sqlite3 ssl xml.dom.minidom numpy numpy.linalg numpy.random
"""
THEN = """
    statistics tarfile unittest.mock uuid xml.etree.ElementTree zipfile zoneinfo turtle tkinter
    encodings.idna curses idlelib.pyshell lzma bz2 hypothesis pytest objgraph greenlet coverage
"""
for names in (FIRST, THEN):
    if names is THEN:
        m.start()
    older = now()
    for name in names.split():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    newer = now()
    assert explain(older, newer) is None, (explain(older, newer), str(newer.diff(older)))
    assert explain(None, newer) is None, (explain(None, newer), str(newer))
m.stop()
