"""The files that carry checksums, as far as forging them needs: how each is taken apart, and how its
checksums are made right again after bytes were changed ("resealed").

KV packs (schemas/kv_pack.md), pool manifests (framework/pipeline/pool/pool_manifest.h), the indexes of
retrievers inside them (INDEXES), packed weights (framework/model/decoder/packed_weights.cc).
"""

import ctypes
import json
import struct

_xxhash = ctypes.CDLL("libxxhash.so.0")


class _Hash128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


_xxhash.XXH3_64bits.restype = ctypes.c_uint64
_xxhash.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
_xxhash.XXH3_64bits_withSeed.restype = ctypes.c_uint64
_xxhash.XXH3_64bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]
_xxhash.XXH3_128bits.restype = _Hash128
_xxhash.XXH3_128bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


def xxh64(data, seed=None):
    data = bytes(data)
    if seed is None:
        return _xxhash.XXH3_64bits(data, len(data))
    return _xxhash.XXH3_64bits_withSeed(data, len(data), seed)


def xxh128(data):
    """16 bytes in canonical order."""
    value = _xxhash.XXH3_128bits(bytes(data), len(data))
    return struct.pack(">QQ", value.high, value.low)


# ---- KV packs -----------------------------------------------------------------------------------

HEADER_BYTES, ROW_BYTES = 4096, 96
HEADER_FIELDS = {"version": (16, 4), "header_bytes": (20, 4), "file_bytes": (24, 8), "created": (32, 8),
                 "block_count": (40, 8), "rows_offset": (48, 8), "plane_count": (56, 8),
                 "checksums_offset": (64, 8), "reserved": (88, 8)}
ROW_FIELDS = {"layout": (16, 4), "dtype": (20, 4), "panel": (24, 4), "layers": (28, 4),
              "kv_heads": (32, 4), "head_dim": (36, 4), "tokens": (40, 8), "plane_bytes": (48, 8),
              "scale_offset": (56, 8), "plane_offset": (64, 8), "plane_stride": (72, 8),
              "first_checksum": (80, 8), "created": (88, 8)}


def get(data, place):
    return int.from_bytes(data[place[0]:place[0] + place[1]], "little")


def put(data, place, value):
    data[place[0]:place[0] + place[1]] = (value % (1 << 8 * place[1])).to_bytes(place[1], "little")


def row_place(pack, row, field):
    offset, width = ROW_FIELDS[field]
    return get(pack, HEADER_FIELDS["rows_offset"]) + ROW_BYTES * row + offset, width


def pack_rows(pack):
    """Offsets of the rows that lie in the file."""
    start = get(pack, HEADER_FIELDS["rows_offset"])
    count = min(get(pack, HEADER_FIELDS["block_count"]), max(0, len(pack) - start) // ROW_BYTES)
    return [start + ROW_BYTES * i for i in range(count)]


def pack_planes(pack):
    """(index of its checksum, begin, end) of each plane that lies in the file."""
    planes = []
    for at in pack_rows(pack):
        row = {name: get(pack, (at + offset, width)) for name, (offset, width) in ROW_FIELDS.items()}
        for layer in range(min(row["layers"], 64)):
            begin = row["plane_offset"] + layer * row["plane_stride"]
            if HEADER_BYTES <= begin <= begin + row["plane_bytes"] <= len(pack):
                planes.append((row["first_checksum"] + layer, begin, begin + row["plane_bytes"]))
    return planes


def reseal_pack(pack):
    """Makes every checksum of a pack right that its own, perhaps absurd, index leads to."""
    if len(pack) < HEADER_BYTES:
        return
    planes = pack_planes(pack)
    sums = get(pack, HEADER_FIELDS["checksums_offset"])
    sums_end = min(sums + 8 * get(pack, HEADER_FIELDS["plane_count"]), len(pack))
    for number, begin, end in planes:
        if sums + 8 * number + 8 <= sums_end:
            put(pack, (sums + 8 * number, 8), xxh64(pack[begin:end]))
    rows = pack_rows(pack)
    index = pack[rows[0]:rows[-1] + ROW_BYTES] if rows else b""
    put(pack, (72, 8), xxh64(index + pack[sums:sums_end]))
    rest, at = bytearray(), HEADER_BYTES
    for begin, end in sorted((begin, end) for _, begin, end in planes):
        rest += pack[at:max(at, begin)]
        at = max(at, end)
    put(pack, (80, 8), xxh64(rest + pack[at:]))
    put(pack, (4088, 8), xxh64(pack[:4088]))


# ---- indexes of retrievers ----------------------------------------------------------------------

def _seal_header(header_bytes, at):
    """A checksum in the header, which it covers with 0 in its place and then all that follows."""
    def seal(data):
        if len(data) < header_bytes:
            return data
        header = bytearray(data[:header_bytes])
        put(header, (at, 8), 0)
        put(header, (at, 8), xxh64(data[header_bytes:], xxh64(header)))
        return bytes(header) + data[header_bytes:]
    return seal


def _seal_hybrid(data):
    """A line with the checksum, one with the documents, one with the first index's bytes, both indexes."""
    lines = data.split(b"\n", 4)
    if len(lines) < 5 or not lines[3].isdigit() or len(lines[3]) > 9:
        return data
    first = int(lines[3])
    inner = reseal_index(lines[4][:first]) + reseal_index(lines[4][first:])
    body = b"\n".join([lines[2], lines[3], inner])
    return b"\n".join([lines[0], str(xxh64(body)).encode(), body])


# What an index begins with -> (where its header says how many bytes follow, if it does, and what of
# them that does not count; how it is sealed). A new kind of index is one more line.
INDEXES = {
    b"DBSABM25": (None, _seal_header(64, 56)),
    b"DBSAFAIS": (32, _seal_header(48, 40)),  # versions 1 and 2
    b"dbsa.retriever.hybrid 1\n": (None, _seal_hybrid),
}


def reseal_index(data, sizes=False):
    """The index with right checksums; with `sizes`, also with a right count of its bytes."""
    for magic, (size_at, seal) in INDEXES.items():
        if data.startswith(magic):
            if sizes and size_at is not None and len(data) >= 48:
                changed = bytearray(data)
                put(changed, (size_at, 8), len(data) - 48 - get(data, (12, 4)))
                data = bytes(changed)
            return seal(bytes(data))
    return bytes(data)


# ---- pool manifests -----------------------------------------------------------------------------

class Raw(bytes):
    """Bytes that stand in the CBOR as they are."""


def cbor_head(major, value):
    if value < 24:
        return bytes([major << 5 | value])
    for info, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if value < 1 << 8 * width:
            return bytes([major << 5 | info]) + value.to_bytes(width, "big")
    raise ValueError(value)


def cbor_encode(item):
    if isinstance(item, Raw):
        return bytes(item)
    if item is None or isinstance(item, bool):
        return {None: b"\xf6", False: b"\xf4", True: b"\xf5"}[item]
    if isinstance(item, int):
        return cbor_head(0, item) if item >= 0 else cbor_head(1, -1 - item)
    if isinstance(item, float):
        return b"\xfb" + struct.pack(">d", item)
    if isinstance(item, bytes):
        return cbor_head(2, len(item)) + item
    if isinstance(item, str):
        text = item.encode("utf-8", "surrogateescape")
        return cbor_head(3, len(text)) + text
    if isinstance(item, list):
        return cbor_head(4, len(item)) + b"".join(map(cbor_encode, item))
    return cbor_head(5, len(item)) + b"".join(cbor_encode(part) for pair in item.items() for part in pair)


def cbor_decode(data, at=0):
    """The item and where it ends; only what pool manifests are written with."""
    major, info = data[at] >> 5, data[at] & 31
    at += 1
    value = info
    if info >= 24:
        width = 1 << info - 24
        value = int.from_bytes(data[at:at + width], "big")
        at += width
    if major < 2:
        return (value, -1 - value)[major], at
    if major == 2:
        return bytes(data[at:at + value]), at + value
    if major == 3:
        return bytes(data[at:at + value]).decode("utf-8", "surrogateescape"), at + value
    if major == 7 and info in (26, 27):
        return struct.unpack(">f" if info == 26 else ">d", data[at - (4 << info - 26):at])[0], at
    if major == 7:
        return {20: False, 21: True, 22: None}[info], at
    parts = []
    for _ in range(value * (major - 3)):
        part, at = cbor_decode(data, at)
        parts.append(part)
    return (parts if major == 4 else dict(zip(parts[::2], parts[1::2]))), at


MANIFEST_MAGIC = b"DBSAPOOL"
POOL_MAGIC = b"DBSAKEYS"  # of the hdf5 store's file around it (plugins/kv_store/hdf5/pool_file.h)


def split_pool(data):
    """The keys, 16 bytes each, and the document of a pool's file."""
    keys, document = struct.unpack_from("<QQ", data, 8)
    begin = 24 + 16 * keys
    return bytes(data[24:begin]), bytes(data[begin:begin + document])


def join_pool(keys, document):
    body = POOL_MAGIC + struct.pack("<QQ", len(keys) // 16, len(document)) + keys + document
    return body + struct.pack("<Q", xxh64(body))


def manifest_of(data):
    return cbor_decode(data, len(MANIFEST_MAGIC))[0]


def seal_manifest(body):
    """A manifest of the bytes after its magic."""
    return MANIFEST_MAGIC + body + xxh128(MANIFEST_MAGIC + body)


# ---- safetensors --------------------------------------------------------------------------------

def split_safetensors(data):
    """The header's text and the data."""
    length = int.from_bytes(data[:8], "little")
    return bytes(data[8:8 + length]), bytes(data[8 + length:])


def join_safetensors(header, body, aligned=True):
    if aligned:
        header += b" " * (-(8 + len(header)) % 64)
    return len(header).to_bytes(8, "little") + header + body


def reseal_weights(data):
    """Packed weights whose metadata hold the digest of the tensors that their header leads to."""
    header, body = split_safetensors(data)
    try:
        entries = json.loads(header)
        digest = entries["__metadata__"]["digest"]
        sums = {name.encode(): xxh128(body[slice(*entry["data_offsets"])]).hex()
                for name, entry in entries.items() if name != "__metadata__"}
        lines = b"".join(name + b"\n" + sums[name].encode() + b"\n" for name in sorted(sums))
        return bytes(data).replace(digest.encode(), xxh128(lines).hex().encode(), 1)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return bytes(data)  # it is refused before its digest is looked at
