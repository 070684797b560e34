"""The native file format: docs/dump-format.md is what is written, and nothing else is read."""

from __future__ import annotations

import random
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memscope import _memscope
from memscope._memscope import Columns

HEADER = "<8sHHIQ"
ENTRY = "<4sIQQ"
MAGIC = b"\x89MSCP\r\n\x1a"
CHUNKS = ["META", "TEXT", "FUNC", "NODE", "SITE", "ROWS", "SIZE"]

names = st.sampled_from(
    ["", "a.py", "\0", "caf\xe9", "\xff", "\u0100", "\udc80", "\uffff", "\U00010000"]
)
names |= st.text(st.characters(), max_size=4)
stacks = st.lists(st.tuples(names, st.integers(0, 2**32 - 1)), min_size=1, max_size=5).map(tuple)
raw_traces = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 389047, 2**32 - 1]),
        st.integers(0, 100) | st.integers(0, 2**56) | st.sampled_from([2**32 - 1, 2**32]),
        stacks,
        st.none() | st.integers(0, 2**32 - 1),
    ),
    max_size=20,
)

SAMPLE = [
    (0, 100, (("a.py", 1), ("b.py", 2)), 2),
    (0, 5 << 32, (("\u0431.py", 300),), None),
    (389047, 1, (("\U0001f40d.py", 0), ("b.py", 2)), 7),
    (0, 3, (("c.py", 1), ("c.py", 1), ("b.py", 2)), 3),
    (0, 3, (("c.py", 1), ("c.py", 1), ("b.py", 2)), 3),
    (7, 0, (("<unknown>", 0),), 1),
]


def sample() -> bytes:
    return Columns.from_traces(SAMPLE, 25).to_bytes()


# The format as the page describes it, in Python: written apart from the C code, so that
# the two and the page cannot all be wrong in the same way.


def varint(number: int) -> bytes:
    data = bytearray()
    while number > 127:
        data.append(number & 127 | 128)
        number >>= 7
    return bytes([*data, number])


def pack(chunks: dict[str, bytes], major: int = 1, minor: int = 0) -> bytes:
    start = 28 + 24 * len(chunks)
    table, body = b"", b""
    for name, data in chunks.items():
        entry = struct.pack(ENTRY, name.encode(), zlib.crc32(data), start + len(body), len(data))
        table += entry
        body += data
    head = struct.pack(HEADER, MAGIC, major, minor, len(chunks), start + len(body)) + table
    return head + struct.pack("<I", zlib.crc32(head)) + body


def unpack(data: bytes) -> dict[str, bytes]:
    magic, major, minor, count, length = struct.unpack_from(HEADER, data)
    assert (magic, major, minor, length) == (MAGIC, 1, 0, len(data))
    end = 24 + 24 * count
    assert struct.unpack_from("<I", data, end) == (zlib.crc32(data[:end]),)
    chunks = {}
    expected = end + 4
    for i in range(count):
        name, crc, offset, size = struct.unpack_from(ENTRY, data, 24 + 24 * i)
        assert offset == expected
        chunks[name.decode()] = data[offset : offset + size]
        assert crc == zlib.crc32(data[offset : offset + size])
        expected += size
    assert expected == len(data)
    return chunks


class Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        self.at += count
        assert self.at <= len(self.data)
        return self.data[self.at - count : self.at]

    def varint(self) -> int:
        number = shift = 0
        while True:
            (byte,) = self.take(1)
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    def string(self) -> str:
        return self.take(self.varint()).decode()

    def ended(self) -> bool:
        return self.at == len(self.data)


def decode(data: bytes) -> tuple[dict[str, Any], list[Any]]:
    """(META, rows), a row being (trace, names newest first, epoch, domain byte, address)."""
    readers = {name: Reader(chunk) for name, chunk in unpack(data).items()}
    assert list(readers) in (CHUNKS, [*CHUNKS, "ADDR"])
    meta: dict[str, Any] = {}
    reader = readers["META"]
    for key in ("rows", "limit", "lost", "now"):
        meta[key] = reader.varint()
    meta["epochs"] = [reader.varint() for _ in range(reader.varint())]
    meta["domains"] = [reader.varint() for _ in range(reader.varint())]
    for key in ("creator", "python", "platform"):
        meta[key] = reader.string()

    reader = readers["TEXT"]
    texts = [""]
    for _ in range(reader.varint()):
        (width,) = reader.take(1)
        characters = reader.take(reader.varint() * width)
        texts.append(
            "".join(
                chr(int.from_bytes(characters[i : i + width], "little"))
                for i in range(0, len(characters), width)
            )
        )
    reader = readers["FUNC"]
    functions = [(0, 0)] + [(reader.varint(), reader.varint()) for _ in range(reader.varint())]
    reader = readers["NODE"]
    nodes = [(0, 0, 0)] + [
        (number - reader.varint(), reader.varint(), reader.varint())
        for number in range(1, reader.varint() + 1)
    ]
    reader = readers["SITE"]
    sites = [(reader.varint(), *reader.take(2)) for _ in range(reader.varint())]

    rows = []
    address = 0
    shift = readers["ADDR"].take(1)[0] if "ADDR" in readers else 0
    for _ in range(meta["rows"]):
        node, epoch, domain = sites[readers["ROWS"].varint()]
        size = readers["SIZE"].varint()
        if "ADDR" in readers:
            step = readers["ADDR"].varint()
            address += -(step + 1) // 2 if step & 1 else step // 2
        total = None
        parent, function, line = nodes[node]
        if function == 0:
            total, node = line, parent
        frames, qualified = [], []
        while node:
            node, function, line = nodes[node]
            frames.append((texts[functions[function][0]], line))
            qualified.append(texts[functions[function][1]])
        number = 0 if domain < 3 else meta["domains"][domain - 3]
        trace = (number, size, tuple(frames), total)
        rows.append((trace, qualified, meta["epochs"][epoch], domain, address % 2**64 << shift))
    assert all(reader.ended() for reader in readers.values())
    return meta, rows


@settings(deadline=None, max_examples=150)
@given(traces=raw_traces, limit=st.integers(0, 2**32 - 1))
def test_round_trip(traces: list[Any], limit: int) -> None:
    table = Columns.from_traces(traces, limit)
    data = table.to_bytes()
    copy = Columns.from_bytes(data)
    assert copy.traces() == traces
    assert copy.traceback_limit == limit
    assert (copy.lost, copy.epoch, copy.total_size) == (0, 0, table.total_size)
    assert copy.compare(table, "traceback") == [
        (place, size, 0, count, 0) for place, size, count in table.group("traceback")
    ]
    assert copy.to_bytes() == data


@settings(deadline=None, max_examples=100)
@given(traces=raw_traces)
def test_the_page_describes_the_bytes(traces: list[Any]) -> None:
    data = Columns.from_traces(traces, 25).to_bytes()
    meta, rows = decode(data)
    assert [row[0] for row in rows] == traces
    assert (meta["limit"], meta["lost"], meta["now"], meta["epochs"]) == (25, 0, 0, [0])
    assert meta["creator"].startswith("memscope")
    assert "ADDR" not in unpack(data)


TRACED = """
import sys
from memscope import _memscope

kept = []

def leak(depth):
    if depth:
        leak(depth - 1)
    else:
        kept.append(bytes(5000 + len(kept)))

class Thing:
    def method(self):
        leak(2)

_memscope.start(4, total_nframe=True)
for _ in range(5):
    Thing().method()
    _memscope.advance_epoch()
table = _memscope.take_snapshot()
_memscope.stop()
sizes = {sys.getsizeof(one): id(one) for one in kept}
columns = _memscope.Columns
data = table.to_bytes()
copy = columns.from_bytes(data)
assert copy.to_bytes() == data
assert (len(copy), copy.epoch, copy.lost) == (len(table), 5, table.lost)
for i in range(len(table)):
    assert copy.trace(i) == table.trace(i), i
    assert copy.address(i) == table.address(i) != 0, i
    assert copy.row_epoch(i) == table.row_epoch(i), i
found = {copy.address(i): copy.row_epoch(i) for i in range(len(copy)) if copy.trace(i)[1] in sizes}
assert found == {address: epoch for epoch, address in enumerate(sizes.values())}, (found, sizes)
for key in ("lineno", "filename", "function", "traceback"):
    assert copy.group(key) == table.group(key)
    assert {row[2] for row in copy.compare(table, key)} == {0}
    assert {row[2] for row in table.compare(copy, key)} == {0}
functions = {place[1]: (size, count) for place, size, count in copy.group("function")}
assert functions["leak"][1] >= 5, functions
assert "Thing.method" in {place[1] for place, *_ in copy.group("function", True)}
for low, high in ((0, 0), (2, 3), (4, 9)):
    part = copy.filter([], min_size=5000, min_epoch=low, max_epoch=high)
    assert {part.row_epoch(i) for i in range(len(part))} == {*range(low, min(high, 4) + 1)}
sys.stdout.buffer.write(data)
"""


def test_a_traced_program(run_python: Any, tmp_path: Any) -> None:
    """Addresses, epochs, function names and totals survive."""
    path = tmp_path / "dump"
    code = TRACED.replace("sys.stdout.buffer.write(data)", f"open({str(path)!r}, 'wb').write(data)")
    run_python(code)
    meta, rows = decode(path.read_bytes())
    assert meta["now"] == 5
    assert meta["epochs"][:6] == [0, 1, 2, 3, 4, 5]
    leaked = [row for row in rows if 5000 <= row[0][1] < 5100 and row[1][0] == "leak"]
    assert [(row[1], row[2]) for row in sorted(leaked, key=lambda row: row[2])] == [
        (["leak", "leak", "leak", "Thing.method"], epoch) for epoch in range(5)
    ]
    assert {row[0][3] for row in leaked} == {5}


def fails(data: Any, match: str = ".") -> str:
    before = _memscope.get_tracemalloc_memory()
    with pytest.raises(ValueError, match=match) as caught:
        Columns.from_bytes(data)
    assert _memscope.get_tracemalloc_memory() == before
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 199, "cut off"
    return message


def test_truncated_at_every_length() -> None:
    data = sample()
    for length in range(len(data)):
        message = fails(data[:length], "^truncated memscope dump: |^not a memscope dump: ")
        assert f"the file has {length}" in message or length == 0
    fails(data + b"\0", r"^damaged memscope dump: the header at offset 16 says")


def test_every_byte_flipped() -> None:
    data = sample()
    for i in range(len(data)):
        for flip in (1, 128, 255):
            message = fails(data[:i] + bytes([data[i] ^ flip]) + data[i + 1 :])
            assert "offset" in message


def test_not_a_dump() -> None:
    for data in (b"", b"PK\3\4" * 20, b"\x80\x05pickle", bytes(5000)):
        fails(data, "^not a memscope dump: the first 8 bytes at offset 0 should be 89 4d 53")
    with pytest.raises(TypeError):
        Columns.from_bytes("text")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_any_buffer(kind: Any) -> None:
    assert Columns.from_bytes(kind(sample())).traces() == SAMPLE


def with_chunks(**replaced: bytes | None) -> bytes:
    chunks = {**unpack(sample()), **replaced}
    return pack({name: data for name, data in chunks.items() if data is not None})


def test_versions_and_unknown_chunks() -> None:
    chunks = unpack(sample())
    assert pack(chunks) == sample()
    longer = {**chunks, "META": chunks["META"] + b"a later version's", "XTRA": b"\xff" * 99}
    assert (
        Columns.from_bytes(pack({"\0\1?\xff"[:3] + "z": b"", **longer}, minor=3)).traces() == SAMPLE
    )
    fails(pack(chunks, major=2), r"format version 2\.0 at offset 8, expected 1\.x")
    fails(pack(chunks, major=0), "format version 0")
    backwards = pack(dict(reversed(longer.items())))
    assert Columns.from_bytes(backwards).traces() == SAMPLE


@pytest.mark.parametrize("name", CHUNKS)
def test_missing_chunk(name: str) -> None:
    fails(
        with_chunks(**{name: None}), f"chunk {name} is not in the table at offset 24, expected once"
    )


@pytest.mark.parametrize("name", [name for name in CHUNKS if name != "META"])
def test_chunk_too_long_or_short(name: str) -> None:
    chunk = unpack(sample())[name]
    fails(with_chunks(**{name: chunk + b"\0"}), f"chunk {name} goes on for 1 bytes at offset")
    for length in range(len(chunk)):
        fails(with_chunks(**{name: chunk[:length]}), "^bad memscope dump: chunk ")


def meta(rows: int = 6, **replaced: Any) -> bytes:
    fields = {"limit": 1, "lost": 0, "now": 0, "epochs": [0], "domains": [389047, 7], **replaced}
    data = varint(rows)
    for field in fields.values():
        data += b"".join(map(varint, [len(field), *field] if isinstance(field, list) else [field]))
    return data + b"\0\0\0"


HUGE = varint(2**64 - 1)
TOO_LONG = b"\xff" * 9 + b"\x02"
ENDLESS = b"\x80" * 11


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ({"META": meta(rows=2**64 - 1)}, "ROWS at offset .* expected the 18446744073709551615 of"),
        ({"META": meta(rows=7)}, "ROWS at offset .* room for 6 rows at most, expected the 7 of"),
        ({"META": meta(rows=5)}, "chunk ROWS goes on for 1 bytes at offset"),
        ({"META": meta(limit=2**32)}, "chunk META has traceback limit 4294967296 before offset"),
        ({"META": meta(epochs=[])}, "META has number of epochs 0 before offset .* 1 to 256"),
        ({"META": meta(epochs=[0] * 257)}, "META has number of epochs 257 before"),
        ({"META": meta(domains=[0] * 254)}, "number of tracked domains 254 before .* 0 to 253"),
        ({"META": meta(domains=[1, 2**32])}, "META has tracked domain 4294967296 before"),
        ({"META": meta(domains=[1])}, "SITE has domain 4 before offset .* expected 0 to 3"),
        ({"META": meta()[:-3] + HUGE}, "META has a string's length 18446744073709551615"),
        ({"META": meta()[:-2]}, r"META ends at offset \d+, expected more"),
        ({"META": TOO_LONG}, "META has a number of more than 64 bits before offset"),
        ({"META": ENDLESS}, "META has a number of more than 64 bits before offset"),
        ({"TEXT": HUGE}, "TEXT has number of texts 18446744073709551615 before .* 0 to 0"),
        ({"TEXT": varint(2**32) + b"\0" * 64}, "number of texts 4294967296 before .* 0 to 32"),
        ({"TEXT": b"\1\1" + HUGE}, "TEXT has a text's length 18446744073709551615 before"),
        ({"TEXT": b"\1\4" + varint(2**62) + b"a" * 8}, "a text's length 4611686018427387904"),
        ({"TEXT": b"\1\3\1abc"}, "text of 3 bytes a character before offset .* 1, 2 or 4"),
        ({"TEXT": b"\1\2\1\xff\0"}, "highest code point 255 before offset .*, expected 256 to"),
        ({"TEXT": b"\1\2\0"}, "highest code point 0 before offset .*, expected 256 to 1114111"),
        ({"TEXT": b"\1\4\1\xff\xff\0\0"}, "highest code point 65535 .* expected 65536 to"),
        ({"TEXT": b"\1\4\1\0\0\x11\0"}, "highest code point 1114112 .* to 1114111"),
        ({"TEXT": b"\1\4\2\1\0\1\0\0\0\0\xff"}, "highest code point 4278190080"),
        ({"FUNC": HUGE}, "FUNC has number of functions 18446744073709551615"),
        ({"FUNC": b"\1\0\1"}, "FUNC has text 0 before offset .*, expected 1 to"),
        ({"FUNC": b"\1\1\x7f"}, "FUNC has text 127 before"),
        ({"NODE": HUGE}, "NODE has number of nodes 18446744073709551615"),
        ({"NODE": b"\1\0\1\1"}, "NODE has distance to a node's parent 0 before .* 1 to 1"),
        ({"NODE": b"\1\2\1\1"}, "NODE has distance to a node's parent 2 before .* 1 to 1"),
        ({"NODE": b"\1\1\x7f\1"}, "NODE has function 127 before"),
        ({"NODE": b"\1\1\1" + varint(2**32)}, "NODE has line number 4294967296 before"),
        ({"NODE": b"\1\1\0\1"}, "total number of frames without a frame behind it before offset"),
        ({"NODE": b"\3\1\1\1\1\0\1\1\1\1"}, "expected in front of a newest frame"),
        ({"NODE": b"\3\1\1\1\1\0\1\1\0\1"}, "expected in front of a newest frame"),
        ({"NODE": varint(65536) + b"\1\1\1" * 65536}, "a traceback of length 65536 before"),
        ({"SITE": HUGE}, "SITE has number of sites 18446744073709551615"),
        ({"SITE": b"\1\0\0\0"}, "SITE has node 0 before"),
        ({"SITE": b"\1\x7f\0\0"}, "SITE has node 127 before"),
        ({"SITE": b"\1\1\1\0"}, "SITE has epoch 1 before offset .*, expected 0 to 0"),
        ({"SITE": b"\1\1\0\5"}, "SITE has domain 5 before offset .*, expected 0 to 4"),
        ({"SITE": b"\0"}, "ROWS has site 1 before offset .*, expected one of 0"),
        ({"ROWS": b"\0" * 5 + b"\x7f"}, "ROWS has site 127 before offset .*, expected one of"),
        ({"ROWS": b"\0" * 5}, "ROWS at offset .* room for 5 rows at most, expected the 6 of"),
        ({"ROWS": b"\0" * 5 + b"\x80"}, r"ROWS ends at offset \d+, expected more"),
        ({"ROWS": b"\0" * 5 + ENDLESS}, "ROWS has a number of more than 64 bits"),
        ({"SIZE": b"\1" * 5 + HUGE}, r"SIZE comes to more than 2\*\*63 - 1 bytes before offset"),
        ({"SIZE": b"\1" * 5 + TOO_LONG}, "SIZE has a number of more than 64 bits"),
        ({"SIZE": b"\1"}, "SIZE at offset .* room for 1 rows at most"),
        ({"ADDR": b"\0" * 5}, "ADDR at offset .* room for 5 rows at most"),
        ({"ADDR": b"\0" * 6}, r"ADDR ends at offset \d+, expected more"),
        ({"ADDR": b"\x40" + b"\0" * 6}, "ADDR has a shift of addresses by 64 before .* 0 to 63"),
        ({"ADDR": b"\0" * 8}, "ADDR goes on for 1 bytes at offset"),
        ({"ADDR": b"\0" + TOO_LONG + b"\0" * 6}, "ADDR has a number of more than 64 bits"),
    ],
)
def test_hostile_chunks(chunks: dict[str, bytes], message: str) -> None:
    """Every CRC is right, the content is not: said in words, without asking for memory."""
    fails(with_chunks(**chunks), f"^bad memscope dump: .*{message}")


def patched(offset: int, layout: str, value: int) -> bytes:
    """The sample with one field of the header or table changed, and the table's CRC right."""
    data = bytearray(sample())
    struct.pack_into(layout, data, offset, value)
    end = 24 + 24 * len(CHUNKS)
    struct.pack_into("<I", data, end, zlib.crc32(data[:end]))
    return bytes(data)


@pytest.mark.parametrize(
    ("offset", "layout", "value", "message"),
    [
        (12, "<I", 65, "65 chunks at offset 12, at most 64 are possible"),
        (12, "<I", 2**32 - 1, "4294967295 chunks at offset 12"),
        (12, "<I", 60, "the chunk table needs 1444 bytes at offset 24, the file has"),
        (12, "<I", 6, "header and chunk table have CRC-32"),
        (24 + 8, "<Q", 2**64 - 1, "META is said to lie at offset 18446744073709551615, expected"),
        (24 + 16, "<Q", 2**64 - 1, "META .* have 18446744073709551615 bytes, expected at most"),
        (24 + 24 + 8, "<Q", 28, "TEXT is said to lie at offset 28, expected right behind"),
        (24 + 24 * 6 + 16, "<Q", 0, "SIZE at offset .* has CRC-32 00000000"),
        (24 + 24, "<4s", b"META", "META at offset .* is there twice, expected once"),
        (24 + 24, "<4s", b"\0\nab", "chunk TEXT is not in the table"),
        (24 + 4, "<I", 0, "META at offset .* has CRC-32 .*, expected 00000000"),
    ],
)
def test_hostile_table(offset: int, layout: str, value: Any, message: str) -> None:
    fails(patched(offset, layout, value), message)


def test_last_chunk_must_reach_the_end() -> None:
    chunks = {**unpack(sample()), "ZZZZ": b""}
    data = bytearray(pack(chunks) + b"tail")
    end = 24 + 24 * len(chunks)
    struct.pack_into("<Q", data, 16, len(data))
    struct.pack_into("<I", data, end, zlib.crc32(data[:end]))
    fails(bytes(data), "the last chunk ends at offset .*, expected at the end of the file at")


def test_damage_with_right_checksums() -> None:
    """Random damage inside chunks: refused in words, or read as something consistent."""
    random_ = random.Random(20261122)
    chunks = unpack(sample())
    read = 0
    for _ in range(3000):
        name = random_.choice([*CHUNKS])
        chunk = bytearray(chunks[name])
        for _ in range(random_.choice((1, 1, 2, 5))):
            chunk[random_.randrange(len(chunk))] = random_.choice((0, 1, 2, 127, 128, 255))
        try:
            table = Columns.from_bytes(pack({**chunks, name: bytes(chunk)}))
        except ValueError as error:
            assert str(error).startswith("bad memscope dump: ")
            continue
        read += 1
        for key in ("lineno", "filename", "function", "traceback"):
            table.group(key)  # type: ignore[arg-type]
        assert len(table.traces()) == len(table)
        assert Columns.from_bytes(table.to_bytes()).traces() == table.traces()
    assert read > 100


def test_deep_tracebacks_stay_shared() -> None:
    """A million frames in 65 tracebacks cost by the node, not by the frame."""
    nodes = 65535
    chunks = {
        "META": meta(rows=nodes, domains=[]),
        "TEXT": b"\1\1\1a",
        "FUNC": b"\1\1\1",
        "NODE": varint(nodes) + b"\1\1\1" + b"\1\1\1" * (nodes - 1),
        "SITE": varint(nodes) + b"".join(varint(i) + b"\0\0" for i in range(1, nodes + 1)),
        "ROWS": b"".join(map(varint, range(nodes))),
        "SIZE": b"\1" * nodes,
    }
    table = Columns.from_bytes(pack(chunks))
    assert table.group("lineno", True) == [((("a", 1),), nodes, nodes)]
    occurrences = nodes * (nodes + 1) // 2
    assert table.group("lineno", True, per_occurrence=True) == [
        ((("a", 1),), occurrences, occurrences)
    ]
    assert len(table.filter([(True, b"\1", 1, True, None)])) == nodes
    assert len(table.trace(nodes - 1)[2]) == nodes


def test_compact() -> None:
    """Eight bytes a row at the very most, for a table like a program's."""
    random_ = random.Random(1)
    stacks = [
        tuple(
            (f"/srv/app/package/module{random_.randrange(200)}.py", random_.randrange(900))
            for _ in range(8)
        )
        for _ in range(2000)
    ]
    weights = [random_.random() ** 4 for _ in stacks]
    traces = [
        (0, random_.choice((28, 56, 64, random_.randrange(2000))), stack, 30)
        for stack in random_.choices(stacks, weights, k=50000)
    ]
    assert len(Columns.from_traces(traces, 25).to_bytes()) < 8 * len(traces)
