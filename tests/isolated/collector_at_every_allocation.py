"""A hook that allocated could start a collection in the middle of a list's realloc."""

import gc
import xml.etree.ElementTree

from _support import m

for nframe in (1, 30):
    m.start(nframe)
    gc.set_threshold(1)
    grown: list[object] = []
    for i in range(3000):
        cycle: list[object] = [grown]
        cycle.append(cycle)
        grown.append(cycle)
        if i % 500 == 0:
            grown.clear()
    table: dict[object, object] = {}
    for i in range(2000):
        table[i, i] = [table]
    root = xml.etree.ElementTree.Element("root")
    for i in range(1000):
        xml.etree.ElementTree.SubElement(root, f"a{i}").set("key", str(i))
    text = "".join(str(i) for i in range(2000))
    assert len(root) == 1000 and len(table) == 2000 and len(text) == 6890
    gc.set_threshold(700)
    m.take_snapshot()
    m.stop()
