"""A RAW hook that took the GIL would deadlock: the caller holds it while it joins the threads."""

from _support import WATCHED, ext, foreign_blocks, m

for nframe in (1, 25):
    m.start(nframe)
    truth = dict(ext.hammer(4, 30_000, WATCHED, 0, 64, True))
    assert truth and foreign_blocks() == set(truth)
    for address in truth:
        ext.free(0, address)
    assert not foreign_blocks()
    m.stop()
