"""What lies in a store, read without the program: its blocks, and what should not be there."""
import hashlib
import json
import pathlib
import struct

MAGIC = b"DBSA KV pack\r\n\x1a\n"
HEADER = struct.Struct("<16sIIQqQQQQ")  # schemas/kv_pack.md
ROW = struct.Struct("<16s6IQQQQQQq")


class Unsound(Exception):
    """A published file is not whole."""


def blocks_of_pack(path):
    """{key: hash of its planes} of one pack."""
    data = path.read_bytes()
    if len(data) < 4096 or not data.startswith(MAGIC):
        raise Unsound(f"{path.name}: {len(data)} bytes and no header of a pack")
    (_, _, _, file_bytes, _, rows, rows_offset, _, _) = HEADER.unpack_from(data)
    if file_bytes != len(data):
        raise Unsound(f"{path.name}: {len(data)} bytes, its header says {file_bytes}")
    found = {}
    for i in range(rows):
        row = ROW.unpack_from(data, rows_offset + i * ROW.size)
        key, layers, plane_bytes, offset, stride = row[0], row[4], row[8], row[10], row[11]
        planes = hashlib.sha256()
        for layer in range(layers):
            begin = offset + layer * stride
            planes.update(data[begin:begin + plane_bytes])
        found[key.hex()] = planes.hexdigest()
    return found


def packs(store):
    return sorted((store / "packs").glob("pack-*.h5"))


def blocks(store):
    """{key: hash} of all packs of a store; the newest copy of a key counts."""
    found = {}
    for path in packs(store):
        found.update(blocks_of_pack(path))
    return found


def pools(store):
    """{name: hash} of the pool manifests, which are the same bytes whenever they are written."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((store / "pools").glob("*.pool"))}


def leftovers(folder):
    """Files that no finished command leaves: temporary ones, and records without a byte."""
    found = []
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if not path.is_file() or "cache" in path.relative_to(folder).parts:
            continue
        name = path.name
        if name.startswith("writing-") or ".tmp" in name or (
                path.suffix == ".json" and path.stat().st_size == 0):
            found.append(str(path.relative_to(folder)))
    return found


def answers(record):
    """What a result record or an answer says, without times."""
    if "queries" in record:
        return [answers(query) for query in record["queries"]]
    return {key: value for key, value in record.items() if key != "seconds"}


def record_facts(path):
    """The answers of a result record and the hashes of what they came from."""
    try:
        record = json.loads(path.read_text())
        return {"answers": answers(record), "model": record["model"]["fingerprint"],
                "pool": record["encode"]["pool_id"], "assignment": record["encode"]["assignment"],
                "correct": record["totals"]["correct"]}
    except (ValueError, KeyError, TypeError) as error:
        raise Unsound(f"{path.name}: not a whole record: {error!r}") from error


def records(folder):
    """The facts of all records in a folder, in an order that does not depend on their names."""
    found = [record_facts(path) for path in pathlib.Path(folder).glob("*.json")]
    return sorted(found, key=json.dumps)


def files(folder):
    """{name: hash} of the files in a folder."""
    folder = pathlib.Path(folder)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file() and ".tmp" not in path.name}
