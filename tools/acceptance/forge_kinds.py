"""The kinds of files that are forged: how one of each is forged, and which commands then read it.

Each function makes a case in a folder from the honest files called `name`; without rng, the honest case.
"""

import dataclasses
import json
import math
import os
import pathlib
import shutil

import forge_formats as formats
import forge_mutations as mutations

WEIGHTS = "cache/dbsa-pipe/weights"  # below the folder that an environment is made for


@dataclasses.dataclass
class Case:
    folder: pathlib.Path
    commands: list    # (name, words, standard input or None)
    names: list       # texts of which an error must have one: of the file, or of what it does not fit
    what: str         # was forged
    may_change: bool  # whether the forged bytes may well lead to other answers


def pipeline_case(folder, pipeline, names, what):
    """Commands that read a pipeline and all it names, and keep no store. pipeline: FILE [--set KEY=VALUE]..."""
    pipeline += ["--set", "kv_store.plugin=memory"]
    run = ("run", ["run", *pipeline, "--output", str(folder / "runs")], None)
    return Case(folder, [("validate", ["validate", *pipeline], None), ("explain", ["explain", *pipeline], None), run],
                names, what, True)


def store_case(base, folder, name, part, forged, order, what, may_change):
    """Commands on a store and packed weights like the honest ones, except for one file: `part` of the folder."""
    for source, target in ((base.store(name), folder / "store"), (base.cache(name) / WEIGHTS, folder / WEIGHTS)):
        for path in source.rglob("*"):
            if path.is_file():
                copy = target / path.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                os.link(path, copy)
    (folder / part).unlink()
    (folder / part).write_bytes(forged)
    pipeline = [str(base.pipeline(name)), "--set", f"kv_store.path={folder / 'store'}"]
    words = {"query": ["query", *pipeline, "--json"], "run": ["run", *pipeline, "--output", str(folder / "runs")],
             "text": ["query", pipeline[0], "late card fee", *pipeline[1:], "--json"]}
    commands = [(word, words.get(word, ["store", word, str(folder / "store")]),
                 base.queries if word == "query" else None) for word in order]
    return Case(folder, commands, [os.path.basename(part)], what, may_change)


# ---- packs --------------------------------------------------------------------------------------

def blocks_of(pack):
    """Key -> (format, checksums of the planes)."""
    sums, rows = {number: formats.xxh64(pack[begin:end]) for number, begin, end in formats.pack_planes(pack)}, {}
    for at in formats.pack_rows(pack):
        first, layers = formats.get(pack, (at + 80, 8)), min(formats.get(pack, (at + 28, 4)), 64)
        rows[bytes(pack[at:at + 16])] = bytes(pack[at + 16:at + 64]), [sums.get(first + i) for i in range(layers)]
    return rows


def change_fields(rng, pack):
    """Sets fields of rows to extreme numbers, or to ones beside the right one."""
    count, what = len(formats.pack_rows(pack)), []
    for _ in range(rng.choice([1, 1, 2])):
        row, field = rng.randrange(count), rng.choice(list(formats.ROW_FIELDS))
        place = formats.row_place(pack, row, field)
        value = mutations.near(rng, formats.get(pack, place), 8 * place[1])
        everywhere = rng.random() < 0.5
        for other in range(count) if everywhere else [row]:
            formats.put(pack, formats.row_place(pack, other, field), value)
        what.append(f"{field} of {'each row' if everywhere else f'row {row}'} set to {value}")
    return ", ".join(what)


def change_rows(rng, pack):
    rows = formats.pack_rows(pack)
    a, b = rng.sample(rows, 2)
    change = rng.choice(["a key twice", "keys swapped", "rows swapped", "a row fewer", "twice the heads, half as wide"])
    if change == "a key twice":
        pack[a:a + 16] = pack[b:b + 16]
    elif change == "a row fewer":
        formats.put(pack, formats.HEADER_FIELDS["block_count"], len(rows) - 1)
        formats.put(pack, formats.HEADER_FIELDS["plane_count"], formats.get(pack, (rows[-1] + 80, 8)))
    elif change.startswith("twice"):
        for at in rows:
            formats.put(pack, (at + 32, 4), formats.get(pack, (at + 32, 4)) * 2)
            formats.put(pack, (at + 36, 4), formats.get(pack, (at + 36, 4)) // 2)
    else:
        length = 16 if change == "keys swapped" else formats.ROW_BYTES
        pack[a:a + length], pack[b:b + length] = pack[b:b + length], pack[a:a + length]
    return change


def forge_pack(base, name, folder, rng):
    part = f"packs/{base.only_file(name, 'packs').name}"
    honest = (base.store(name) / part).read_bytes()
    pack, what = bytearray(honest), "honest"
    rows, planes = formats.pack_rows(pack), formats.pack_planes(pack)
    kind = rng and rng.choice(["header", "fields", "fields", "fields", "rows", "planes", "blind", "blind"])
    if kind == "header":
        field, place = rng.choice(list(formats.HEADER_FIELDS.items()))
        formats.put(pack, place, mutations.near(rng, formats.get(pack, place), 8 * place[1]))
        what = f"{field} of the header set to {formats.get(pack, place)}"
    elif kind == "fields":
        what = change_fields(rng, pack)
    elif kind == "rows":
        what = change_rows(rng, pack)
    elif kind == "planes":
        fill = rng.choice([b"\x00\x00\xc0\x7f", b"\xc0\x7f", b"\x00\x00\x80\x7f", b"\x80\xff", b"\xff", b"\x7f\x7f", b"\0"])
        chosen = rng.sample(planes, rng.choice([1, len(planes)]))
        for _, begin, end in chosen:
            begin = rng.choice([begin, begin, (begin + end) // 2, end - 64])
            pack[begin:end] = (fill * (end - begin))[:end - begin]
        what = f"{len(chosen)} planes filled with {fill.hex()}"
    elif kind == "blind":
        first, last = min(begin for _, begin, _ in planes), max(end for _, _, end in planes)
        region = rng.choice([(16, 96), (rows[0], len(pack)), (last, len(pack)), (4096, first), (first, last),
                             (0, len(pack))])
        other = base.only_file("bf16", "packs").read_bytes()
        forged, what = mutations.blind(rng, pack, other, *region, resize=rng.random() < 0.3)
        pack = bytearray(forged)
        if rng.random() < 0.5 and len(pack) >= formats.HEADER_BYTES:
            formats.put(pack, formats.HEADER_FIELDS["file_bytes"], len(pack))
    formats.reseal_pack(pack)
    before, after = blocks_of(honest), blocks_of(pack)
    # A block that looks as before but has other numbers may change answers; anything else is noticed.
    may_change = any(key in after and after[key] != block and after[key][0] == block[0]
                     for key, block in before.items())
    order = ["list", "verify", "query", "compact", "query", "gc", "text"] + ["run"] * (not rng or rng.random() < 0.2)
    case = store_case(base, folder, name, f"store/{part}", bytes(pack), order, what, may_change)
    case.names += [str(folder / "store"), *(key.hex() for key in after)]
    return case


# ---- pool manifests -----------------------------------------------------------------------------

def forge_index(rng, index, other):
    what = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        kind = rng.choice(["number", "number", "number", "bytes", "bytes", "header"])
        if kind == "number" and len(index) > 64:
            index, line = mutations.number_change(rng, index, 8)
        else:
            index, line = mutations.blind(rng, index, other, 8, 64 if kind == "header" else None, rng.random() < 0.3)
        what.append(line)
    return formats.reseal_index(index, sizes=rng.random() < 0.7), "index: " + ", ".join(what)


def forge_ids(rng, ids):
    """Token ids or labels of demonstrations, 4 bytes each."""
    word = rng.choice([0, 1, -1, 256, 320, 1 << 20, (1 << 31) - 1, -(1 << 31)]).to_bytes(4, "little", signed=True)
    at = rng.randrange(len(ids) // 4 + 1) * 4
    return rng.choice([b"", ids[:-1], ids[:at], ids + word, ids + word * 100_000, ids[:at] + word + ids[at + 4:], word])


def change_manifest(rng, pool):
    """Changes one part of a decoded manifest."""
    block, label = rng.choice(pool["blocks"]), rng.choice(pool["labels"])
    ids = block["demonstrations"]
    kind = rng.choice(["field", "part", "ids", "ids", "key", "demonstrations", "text", "blocks", "labels", "labels of all",
                       "retriever"])
    if kind in ("field", "part"):
        box = pool if kind == "field" else rng.choice([block, label])
        key = rng.choice(list(box))
        box[key] = odd = rng.choice(mutations.ODD_ITEMS + [formats.Raw(raw) for raw in mutations.ODD_CBOR])
        if rng.random() < 0.2:
            del box[key]
        return f"{key} {f'set to {str(odd)[:40]}' if key in box else 'removed'}"
    if kind == "ids":
        before, block["token_ids"] = len(block["token_ids"]), forge_ids(rng, block["token_ids"])
        return f"token ids of {before} bytes forged, now {len(block['token_ids'])}"
    if kind == "key":
        block["key"] = rng.choice([rng.choice(pool["blocks"])["key"], rng.randbytes(16), rng.randbytes(17)])
    elif kind == "demonstrations":
        block["demonstrations"] = rng.choice([[], ids[1:], ids + ids, ids + [len(pool["demonstrations"])], [-1], [1 << 63],
                                              [(1 << 63) - 1], ids * 10_000, ids[::-1]])
    elif kind == "text":
        label["text"] = rng.choice(["", "\0", "\udcff", pool["labels"][0]["text"], "x" * 100_000, "\x1b[2J"])
    elif kind in ("blocks", "labels"):
        parts = pool[kind]
        pool[kind] = rng.choice([[], parts[1:], parts + parts[:1], parts[::-1], parts * 1000])
    elif kind == "retriever":
        made = pool["made_index"]
        pool["made_index"] = rng.choice([{}, {**made, "retriever": {}}, {**made, "library": "0" * 32}])
    else:
        pool["demonstration_labels"] = forge_ids(rng, pool["demonstration_labels"])
    return f"{kind} changed"


def answers_depend_on(pool):
    """What of a manifest enters answers: two that agree in it must answer alike."""
    return ([(block["demonstrations"], len(block["token_ids"]), block["key"]) for block in pool["blocks"]],
            pool["labels"], pool["index"], pool["demonstration_labels"], pool["has_prefix"])


def forge_manifest(base, name, folder, rng):
    part = f"pools/{base.only_file(name, 'pools').name}"
    keys, honest = formats.split_pool((base.store(name) / part).read_bytes())
    body, what, may_change = honest[8:-16], "honest", False
    if rng:
        pool = formats.manifest_of(honest)
        kind = rng.choices(["index", "other index", "part", "blind", "keys"], [12, 1, 5, 2, 2])[0]
        other_file = base.only_file(rng.choice(base.names), "pools").read_bytes()
        other = formats.manifest_of(formats.split_pool(other_file)[1])["index"]
        if kind == "index":
            pool["index"], what = forge_index(rng, pool["index"], other)
        elif kind == "other index":
            pool["index"], what = rng.choice([other, other, b""]), "another pool's index, or none"
        elif kind == "part":
            what = change_manifest(rng, pool)
        body = formats.cbor_encode(pool)
        if kind == "blind":
            body, what = mutations.blind(rng, body, other)
        if kind == "keys":
            keys, what = mutations.blind(rng, keys, other)
        try:
            changed = formats.manifest_of(formats.MANIFEST_MAGIC + body)
            may_change = answers_depend_on(changed) != answers_depend_on(formats.manifest_of(honest))
        except (KeyError, TypeError, IndexError, ValueError, RecursionError, OverflowError, MemoryError):
            may_change = True
    order = ["query", "verify", "text", "list", "gc"] + ["run"] * (not rng or rng.random() < 0.3) + ["compact"]
    forged = formats.join_pool(keys, formats.seal_manifest(body))
    return store_case(base, folder, name, f"store/{part}", forged, order, what, may_change)


# ---- packed weights -----------------------------------------------------------------------------

def tensors_of(data):
    header, body = formats.split_safetensors(data)
    return {name: body[slice(*entry["data_offsets"])] for name, entry in json.loads(header).items()
            if name != "__metadata__"}


def change_header(rng, data):
    """Changes the entries of a safetensors file."""
    header, body = formats.split_safetensors(data)
    kind = rng.choice(["json", "json", "swapped", "dropped", "shorter", "empty", "renamed", "dtype", "extra",
                       "misaligned"])
    if kind == "json":
        header, what = mutations.json_change(rng, header, ['"U8"', '"F32"', '"BF16"', "[1]", "[0,64]", "[64,0]"])
        return formats.join_safetensors(header, body), what
    entries = json.loads(header)
    tensors = {name: entry for name, entry in entries.items() if name != "__metadata__"}
    a, b = rng.sample(list(tensors), 2)
    begin, end = entries[a]["data_offsets"]
    if kind == "swapped":
        entries[a], entries[b] = entries[b], entries[a]
    elif kind in ("dropped", "shorter", "empty"):  # the rest moves up, so that no byte is left over
        cut = min(64, end - begin) if kind == "shorter" else end - begin
        body = body[:end - cut] + body[end:]
        for entry in tensors.values():
            if entry["data_offsets"][0] >= end:
                entry["data_offsets"] = [at - cut for at in entry["data_offsets"]]
        width = (end - begin) // max(1, math.prod(entries[a]["shape"]))
        entries[a].update(data_offsets=[begin, end - cut], shape=[(end - begin - cut) // max(1, width)])
        if kind == "dropped":
            del entries[a]
    elif kind == "renamed":
        entries[a + "x"] = entries.pop(a)
    elif kind == "dtype":
        entries[a]["dtype"] = rng.choice(["F16", "I8", "BOOL", "F32", "U16"])
    elif kind == "extra":
        entries["extra"] = {"dtype": "U8", "shape": [64], "data_offsets": [len(body), len(body) + 64]}
        body += bytes(64)
    return formats.join_safetensors(json.dumps(entries).encode(), body, kind != "misaligned"), f"{kind}: {a}"


def change_safetensors(rng, data):
    start = 8 + int.from_bytes(data[:8], "little")
    kind = rng.choice(["header", "header", "data", "blind"])
    if kind == "header":
        return change_header(rng, data)
    if kind == "data":
        return mutations.blind(rng, data, b"", start, None, resize=False)
    return mutations.blind(rng, data, data[::-1], 0, rng.choice([8, start, None]))


def forge_weights(base, name, folder, rng):
    part = f"{WEIGHTS}/{base.packed_weights(name).name}"
    honest = data = base.packed_weights(name).read_bytes()
    what, may_change = "honest", False
    if rng:
        data, what = change_safetensors(rng, data)
        data = formats.reseal_weights(data)
        try:
            before, after = tensors_of(honest), tensors_of(data)
            may_change = any(name in after and len(after[name]) == len(before[name]) and after[name] != before[name]
                             for name in before)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
            may_change = False  # it is no safetensors file
    order = ["query", "list", "verify", "text", "gc", "compact"] + ["run"] * (not rng or rng.random() < 0.3)
    case = store_case(base, folder, name, part, data, order, what, may_change)
    case.names.append(str(folder / "store"))  # of numbers that make no answer
    return case


# ---- model folders ------------------------------------------------------------------------------

def make_odd(path, odd):
    path.unlink()
    if odd == "empty":
        path.touch()
    elif odd == "folder":
        path.mkdir()
    elif odd == "pipe":
        os.mkfifo(path)
    elif odd == "1 TB of zeros":
        with path.open("wb") as file:
            file.truncate(1 << 40)
    elif odd != "missing":
        path.symlink_to({"link to itself": path.name, "link to nothing": "nothing", "endless device": "/dev/zero"}[odd])


def forge_model(base, name, folder, rng):
    """name: a model, and a file of it or "odd"."""
    model, target = name.split("/")
    shutil.copytree(base.root / model, folder / "model")
    files, what = os.listdir(folder / "model"), "honest"
    if rng and target == "odd":
        target, odd = rng.choice(files), rng.choice(mutations.ODD_FILES)
        make_odd(folder / "model" / target, odd)
        what = f"{target}: {odd}"
    elif rng:
        path = folder / "model" / target
        data = path.read_bytes()
        if target.endswith(".safetensors"):
            data, what = change_safetensors(rng, data)
        elif target == "tokenizer.json" and rng.random() < 0.4:
            nasty = rng.choice(mutations.NASTY_TOKENIZERS)
            data, what = json.dumps({**json.loads(data), **nasty}).encode(), str(nasty)[:80]
        elif rng.random() < 0.75:
            paths = ['"../config.json"', '"/dev/zero"', '"model-00003-of-00002.safetensors"']
            data, what = mutations.json_change(rng, data, paths)
        else:
            data, what = mutations.blind(rng, data, data[::-1])
        path.write_bytes(data)
        what = f"{target}: {what}"
    pipeline = [str(base.pipeline("f32")), "--set", f"model.path={folder / 'model'}"]
    # A model may be fine, but not for the pipeline; numbers that make no answer are of some file of it.
    return pipeline_case(folder, pipeline, [*files, "f32.toml:", f"the model is {folder / 'model'}"], what)


# ---- pipelines, sweeps, data --------------------------------------------------------------------

def absolute(base, name, folder):
    """A pipeline's text with paths that hold in any folder."""
    text = base.pipeline(name).read_text()
    for path in ("f32", "bf16", "small.jsonl", "large.jsonl", "queries.jsonl"):
        text = text.replace(f'"{path}"', f'"{base.root / path}"')
    return text.replace('"stores/none"', f'"{folder / "store"}"').encode()


def forge_pipeline(base, name, folder, rng):
    text, what = absolute(base, name, folder), "honest"
    if rng:
        text, what = mutations.toml_change(rng, text, base.pipeline("hybrid").read_bytes())
    (folder / "pipeline.toml").write_bytes(text)
    return pipeline_case(folder, [str(folder / "pipeline.toml")], ["pipeline.toml", str(folder), str(base.root)], what)


def forge_sweep(base, name, folder, rng):
    (folder / "pipeline.toml").write_bytes(absolute(base, name, folder))
    text, what = mutations.SWEEP, "honest"
    if rng:
        text, what = mutations.toml_change(rng, text, text[::-1])
    (folder / "sweep.toml").write_bytes(text)
    command = ("sweep", ["sweep", str(folder / "sweep.toml"), "--list"], None)
    return Case(folder, [command], ["sweep.toml", "pipeline.toml"], what, True)


DATA_KEYS = {"small.jsonl": "demonstrations", "small.csv": "demonstrations", "queries.jsonl": "queries",
             "queries.csv": "queries", "labels.csv": "labels", "indices.json": "query_indices"}


def forge_data(base, name, folder, rng):
    data, what = base.queries if name == "standard input" else (base.root / name).read_bytes(), "honest"
    if rng:
        data, what = (mutations.json_change if name == "indices.json" else mutations.lines_change)(rng, data)
    if name == "standard input":
        words = ["query", str(base.pipeline("f32")), "--json", "--set", f"kv_store.path={base.store('f32')}"]
        return Case(folder, [("query", words, data)], [name], what, True)
    (folder / name).write_bytes(data)
    pipeline = [str(base.pipeline("f32")), "--set", f"data.{DATA_KEYS[name]}={folder / name}"]
    return pipeline_case(folder, pipeline, [name, "f32.toml:"], f"{name}: {what}")
