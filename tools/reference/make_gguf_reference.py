#!/usr/bin/env python3
"""Makes tests/gguf/blocks_reference.safetensors: quantised blocks, and what gguf-py decodes them to.

Run by hand, from anywhere:

    python3 tools/reference/make_gguf_reference.py

It needs `gguf` 0.19.0 and numpy from PyPI; the versions used are written to the file. Nothing is
downloaded. Blocks are random bytes with a seed, and zeros and extremes; their scales are numbers, as
others are refused.
"""

import importlib.metadata
import json
import pathlib

import numpy
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

SEED = 20261129
OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "gguf" / "blocks_reference.safetensors"

# Bytes of a block at which its float16 scales lie.
SCALES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2],
          "Q5_K": [0, 2], "Q6_K": [208], "MXFP4": []}

# Zero, the smallest and the largest subnormal, the smallest normal, one, the largest; negative, too.
FLOAT16_EXTREMES = [0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x83FF, 0x0400, 0x3C00, 0xBC00, 0x7BFF, 0xFBFF]
# Powers of two from the smallest, which is subnormal, to the largest whose products are numbers.
E8M0_EXTREMES = [0, 1, 2, 3, 126, 127, 128, 252]


def random_float16(rng):
    """Bits of a float16 that is a number, of any size."""
    while True:
        bits = int(rng.integers(0, 65536))
        if bits & 0x7C00 != 0x7C00:
            return bits


def blocks_of(name, rng):
    size = GGML_QUANT_SIZES[GGMLQuantizationType[name]][1]
    blocks = []

    def add(fill, scales):
        block = numpy.array(fill, dtype=numpy.uint8)
        for at, bits in zip(SCALES[name], scales):
            block[at:at + 2] = [bits & 255, bits >> 8]
        if name == "MXFP4":
            block[0] = scales[0]
        blocks.append(block)

    draw = (lambda: [int(rng.integers(0, 253))]) if name == "MXFP4" else (
        lambda: [random_float16(rng) for _ in SCALES[name]])
    for _ in range(4 if size > 100 else 12):
        add(rng.integers(0, 256, size), draw())
    extremes = E8M0_EXTREMES if name == "MXFP4" else FLOAT16_EXTREMES
    for i, bits in enumerate(extremes[::2] if size > 100 else extremes):
        add(rng.integers(0, 256, size), [bits, extremes[-1 - i]])
    for fill in (0, 255, 0x0F, 0x80):
        add(numpy.full(size, fill), draw())
    return numpy.stack(blocks)


def write_safetensors(tensors, metadata):
    header, data = {"__metadata__": metadata}, b""
    for name, (dtype, array) in sorted(tensors.items()):
        raw = array.tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    OUT.write_bytes(len(text).to_bytes(8, "little") + text + data)


def main():
    rng = numpy.random.default_rng(SEED)
    tensors = {}
    for name in SCALES:
        blocks = blocks_of(name, rng)
        decoded = dequantize(blocks, GGMLQuantizationType[name])
        assert numpy.isfinite(decoded).all(), name
        tensors[name + ".blocks"] = ("U8", blocks)
        tensors[name + ".elements"] = ("F32", decoded.astype("<f4"))
    write_safetensors(tensors, {"gguf": importlib.metadata.version("gguf"),
                                "numpy": numpy.__version__, "seed": str(SEED)})
    print(f"{OUT}: {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
