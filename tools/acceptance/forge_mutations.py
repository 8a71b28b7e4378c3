"""Mutations that know nothing of a format, or only that it is JSON, TOML or CSV. Each returns the changed
bytes and a line that says what was done."""

import json

WORDS = [0, 1, 2, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
         0x7fc00000, 0x7f800000, 0xff800000, 0x7f7fffff, 0x7e967699]  # the last five: floats
LONG_WORDS = WORDS + [1 << 32, 1 << 40, (1 << 60) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 64, (1 << 64) - 1,
                      0x7fc000007fc00000]


def near(rng, value, bits):
    """An extreme number, or one beside the right one."""
    if rng.random() < 0.5:
        return rng.choice(LONG_WORDS if bits == 64 else WORDS)
    return rng.choice([value - 1, value + 1, value * 2, value // 2, value + 64, value - 64, 0,
                       value * 1000, value ^ 1 << rng.randrange(bits)]) % (1 << bits)


def blind(rng, data, other=b"", begin=0, end=None, resize=True):
    """Changes bytes of [begin, end); `other`: a second file to splice with; `resize`: lengths may change."""
    data = bytearray(data)
    end = min(len(data), len(data) if end is None else end)
    if begin >= end:
        return bytes(data) + b"\0", "one byte more"
    at = rng.randrange(begin, end)
    length = min(end - at, rng.choice([1, 4, 8, 16, 64, 256, 4096]))
    kind = rng.choice(["flip", "byte", "word", "word", "word", "long", "long", "run"] +
                      ["truncate", "repeat", "remove", "splice"] * resize)
    if kind == "flip":
        bits = rng.choice([1, 1, 1, 2, 8])
        for _ in range(bits):
            data[rng.randrange(begin, end)] ^= 1 << rng.randrange(8)
        return bytes(data), f"{bits} bits flipped, one near byte {at}"
    if kind == "byte":
        data[at] = value = rng.choice([0, 1, 0x7f, 0x80, 0xff])
        return bytes(data), f"byte {at} set to {value:#x}"
    if kind in ("word", "long"):
        width = 4 if kind == "word" else 8
        if rng.random() < 0.8:
            at = max(begin, at - (at - begin) % width)  # where a number would lie
        old = int.from_bytes(data[at:at + width], "little")
        value = near(rng, old, 8 * width)
        data[at:at + width] = value.to_bytes(width, "little")[:max(0, end - at)]
        return bytes(data), f"{width} bytes at {at} set from {old:#x} to {value:#x}"
    if kind == "run":
        fill = rng.choice([b"\0", b"\xff", b"\x7f", b"\x80", b"\x00\x00\xc0\x7f", b"\xc0\x7f"])
        data[at:at + length] = (fill * length)[:length]
        return bytes(data), f"{length} bytes at {at} filled with {fill.hex()}"
    if kind == "truncate":
        return bytes(data[:at]), f"cut off at byte {at} of {len(data)}"
    if kind == "repeat":
        data[at:at] = data[at:at + length]
        return bytes(data), f"{length} bytes at {at} repeated"
    if kind == "remove":
        del data[at:at + length]
        return bytes(data), f"{length} bytes at {at} removed"
    return bytes(data[:at]) + other[at:], f"the other file's bytes from {at} on"


def number_change(rng, data, begin):
    """Changes a number that looks like a count, an offset or an id, being small."""
    width = rng.choice([4, 8])
    start = rng.randrange(begin, max(begin + 1, len(data) - width))
    for at in (*range(start, len(data) - width), *range(begin, start)):
        value = int.from_bytes(data[at:at + width], "little")
        if 0 < value < 1 << 16:
            new = near(rng, value, 8 * width)
            what = f"{value} at {at} set to {new:#x}, {width} bytes"
            return data[:at] + new.to_bytes(width, "little") + data[at + width:], what
    return blind(rng, data, b"", begin)


DEEP = 100_000
JSON_TEXTS = [
    "null", "true", "-1", "0", "1", "2147483647", "2147483648", "4294967296", "9223372036854775807",
    "9223372036854775808", "18446744073709551615", "1" + "0" * 40, "-1" + "0" * 400, "1e308", "1e999", "-0.0",
    "5e-324", "0.5", "NaN", "Infinity", '""', '"\\u0000"', '"\\u001b[31m\\u202e"', '"\\ud800"', "[]", "{}", "[null]",
    '"' + "x" * 1_000_000 + '"', "[" * DEEP + "]" * DEEP, "[" * DEEP, '{"a":' * DEEP + "1" + "}" * DEEP,
    '{"a":1,"a":2}', "[" + "0," * 200_000 + "0]", "tru", "'x'", "01", '"\xff"', "[1,]"]


def json_change(rng, data, texts=()):
    """Changes one value or key of a JSON text. texts: further values to try."""
    value = json.loads(data)
    box, key = [value], 0
    while isinstance(box[key], (dict, list)) and box[key] and (box is not None) and rng.random() < 0.85:
        box = box[key]
        key = rng.choice(list(box) if isinstance(box, dict) else range(len(box)))
    top = box[key] is value
    kind = rng.choice(["replace", "replace", "replace", "remove", "twice", "rename"])
    where = "the whole" if top else f"{str(key)[:40]!r}"
    if top or kind == "replace":
        text = rng.choice(JSON_TEXTS + list(texts) * 3)
        box[key] = "@HERE@"
        dumped = json.dumps(text if top else value).replace('"@HERE@"', text) if not top else text
        return dumped.encode("latin-1", "replace"), f"{where} set to {text[:60]}"
    if kind == "remove":
        del box[key]
    elif isinstance(box, list):
        box.append(box[key])
    elif kind == "twice":
        box["@HERE@"] = box[key]
        return json.dumps(value).replace("@HERE@", str(key)).encode(), f"{where} is there twice"
    else:
        box[rng.choice(["", "x" * 100_000, "\0", key + " ", "\x1b[31m"])] = box.pop(key)
    return json.dumps(value).encode(), f"{where}: {kind}"


TOML_TEXTS = [
    "nan", "inf", "-inf", "-1", "0", "1e308", "1e-320", "9223372036854775807", "9223372036854775808",
    "0x7fffffffffffffff", "true", '""', '"\\u0000"', '"\\u001b[31m\\u202e"', "'''\n'''", "1979-05-27T07:32:00Z", "[]", "{}",
    '["a", 1]', '"' + "x" * 1_000_000 + '"', "[" * DEEP + "]" * DEEP, "[" * DEEP, "{a=" * DEEP + "1" + "}" * DEEP,
    "[" + "1," * 200_000 + "]", '"/dev/zero"', '"/"', '"."', '"missing"', '"\xff"', "", "0.5", "1", "1000000000"]


def toml_change(rng, data, other=b""):
    lines = data.decode().splitlines()
    kind = rng.choice(["value", "value", "value", "twice", "remove", "deep", "header", "blind"])
    if kind == "blind":
        return blind(rng, data, other)
    at = rng.choice([i for i, line in enumerate(lines) if "=" in line or kind != "value"])
    what = f"line {at + 1}: {kind}"
    if kind == "value":
        text = rng.choice(TOML_TEXTS)
        lines[at] = lines[at].split("=")[0] + "= " + text
        what += " " + text[:60]
    elif kind == "twice":
        lines.insert(rng.randrange(len(lines)), lines[at])
    elif kind == "remove":
        del lines[at]
    elif kind == "deep":
        lines.append(rng.choice([".", " . "]).join(["a"] * DEEP) + " = 1")
    else:
        lines[at] = rng.choice(["[" + ".".join(["a"] * DEEP) + "]", "[[", "[]", "[model]", "[[model]]", "[\"\"]"])
    return "\n".join(lines).encode("latin-1", "replace") + b"\n", what


def lines_change(rng, data):
    """JSON lines or CSV: one line changed, or bytes."""
    lines = data.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    kind = rng.choice(["value", "value", "blind", "blind", "odd"])
    if kind == "value" and lines[at].startswith(b"{"):
        lines[at], what = json_change(rng, lines[at])
        lines[at] += b"\n"
        return b"".join(lines), f"line {at + 1}: {what}"
    if kind == "blind":
        return blind(rng, data, data[::-1])
    odd = rng.choice([b"", b'"', b"\xff\xfe", b"\xef\xbb\xbf", b"\0" * 100, b"," * 100_000, b"x" * 3_000_000,
                      b'"' + b"a\n" * 100_000, b"\r", b"{" * DEEP, b'{"text":"a"}', b'a""b,"c"d\n', b"\x1b[2J,x"])
    lines[at] = rng.choice([odd, odd + lines[at], lines[at].rstrip(b"\n") + odd + b"\n"])
    return b"".join(lines), f"line {at + 1}: {odd[:20]!r}, {len(odd)} bytes"


# ---- odd values of single formats ---------------------------------------------------------------

ODD_ITEMS = [None, True, -1, 0, 1 << 31, 1 << 62, (1 << 64) - 1, 1e308, float("nan"), "", "x" * 100_000, "\udcff", b"",
             b"\xff" * 15, b"\xff" * 16, [], {}, [[]]]
ODD_CBOR = [b"\x9f\x01\xff", b"\xc2\x41\x01", b"\x9b" + b"\xff" * 8, b"\x5b\x7f" + b"\xff" * 7, b"\xf8\x20",
            b"\x81" * 100_000 + b"\0"]
ODD_FILES = ["empty", "missing", "folder", "pipe", "link to nothing", "link to itself", "endless device", "1 TB of zeros"]


def _regex(pattern):
    return {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}}


def _replace(text, by, times=1):
    return [{"type": "Replace", "pattern": {"String": text}, "content": by}] * times


def _added(number, text):
    flags = {key: False for key in ("lstrip", "rstrip", "normalized", "single_word")}
    return {"added_tokens": [{"id": number, "content": text, "special": True, **flags}]}


# Texts that grow, expressions that take long, numbers that no table has.
NASTY_TOKENIZERS = [
    {"normalizer": _replace("", "x" * 1000)[0]},
    {"normalizer": {"type": "Sequence", "normalizers": _replace("a", "a" * 100, 5)}},
    {"normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "x" * 1000}] * 1000}},
    {"decoder": {"type": "Sequence", "decoders": _replace("e", "e" * 1000, 6)}},
    _regex("(a*)*b"), _regex("((((.*)*)*)*)*$"), _regex("(" * 50_000 + ")" * 50_000),
    _added(256, ""), _added((1 << 31) - 1, "a"),
    {"model": {"type": "BPE", "vocab": {}, "merges": []}},
    {"model": {"type": "WordPiece", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]", "continuing_subword_prefix": "",
               "max_input_chars_per_word": -1}}]

SWEEP = b"""base = "pipeline.toml"
title = "shares"
runs = 2
[set]
"kv_store.plugin" = "memory"
[output]
directory = "out"
[[axis]]
name = "share"
key = "selection.count"
values = [1, 2]
[[axis]]
name = "mask"
[[axis.value]]
name = "dbsa"
set = { "mask_pattern.plugin" = "dbsa" }
[[axis.value]]
name = "other"
file = "pipeline.toml"
set = { "decoding.method" = "vote" }
[[published]]
cell = { share = "1" }
value = 0.9
source = "nobody"
"""
