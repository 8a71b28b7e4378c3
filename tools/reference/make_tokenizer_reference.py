#!/usr/bin/env python3
"""Makes the tokenizers and expected token ids under tests/tokenizer/reference.

Run by hand, from anywhere:

    python3 tools/reference/make_tokenizer_reference.py

It needs `tokenizers` 0.20.3 and `sentencepiece` 0.1.97 from PyPI (the version Debian 12 has; newer
ones give the same ids for BPE models, but choose otherwise between segmentations of equal score in
unigram models); the versions used are written to reference/README.md. Nothing is downloaded. Every tokenizer is trained here on a text this script
makes, with the settings (normalizer, pre-tokenizer, decoder, model flags) that the tokenizer.json
of the named family ships; only the vocabulary is ours and small.

Files made:
    corpus.bin            the lines: varint byte length, then the UTF-8 bytes (lines may hold any
                          white space, so they are not separated by newlines)
    KIND/tokenizer.json   or KIND/tokenizer.model
    KIND.expected         per line of the corpus three 32-bit FNV-1a hashes: of the ids with special
                          tokens parsed, of the ids with special tokens read as text, of the first
                          ids decoded (special tokens skipped); then, for the first FULL_LINES lines,
                          varint count and varint ids, so that a difference can be read
    unicode.txt           for every general category and \\s, \\w: the code points the reference
                          matches, as ranges
    KIND.hashes           for the WordPiece kinds: per line one such hash, of the three as bytes
    bert.expected         32-bit FNV-1a of what BertNormalizer and BertPreTokenizer make of each block
                          of 256 code points, uncased, then the same cased: the pieces, joined by "|"
    nfc.expected          32-bit FNV-1a of the NFC of each block of 256 code points (each code
                          point alone, between two others, and behind a base letter)
"""

import argparse
import collections
import json
import pathlib
import random
import struct
import sys

import tokenizers
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers,
                        trainers)

SEED = 20240611
LINES = 10240
FULL_LINES = 320
FNV_OFFSET, FNV_PRIME, MASK = 0x811C9DC5, 0x01000193, (1 << 32) - 1

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
NEMO = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
        r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")

# ---------------------------------------------------------------------------------------------------
# Text

# Alphabets as ranges of code points; words are drawn from them.
SCRIPTS = {
    "latin": [(0x61, 0x7A)] * 12 + [(0x41, 0x5A)] * 2 + [(0xDF, 0xF6), (0xF8, 0x17F), (0x1E00, 0x1EFF)],
    "greek": [(0x3B1, 0x3C9)] * 4 + [(0x391, 0x3A1), (0x1F00, 0x1F15), (0x1F80, 0x1FB4)],
    "cyrillic": [(0x430, 0x44F)] * 5 + [(0x410, 0x42F), (0x450, 0x45F), (0x460, 0x481)],
    "armenian": [(0x561, 0x586)],
    "georgian": [(0x10D0, 0x10F0), (0x1C90, 0x1CAA)],
    "hebrew": [(0x5D0, 0x5EA)] * 4 + [(0x5B0, 0x5BC)],
    "arabic": [(0x621, 0x63A), (0x641, 0x64A)] * 3 + [(0x64B, 0x652), (0x6F0, 0x6F9)],
    "devanagari": [(0x905, 0x939)] * 3 + [(0x93E, 0x94D), (0x958, 0x95F), (0x966, 0x96F)],
    "bengali": [(0x985, 0x98C), (0x9A4, 0x9B0), (0x9BE, 0x9C4), (0x9DC, 0x9DD)],
    "tamil": [(0xB85, 0xB8A), (0xBAE, 0xBB9), (0xBBE, 0xBC2)],
    "thai": [(0xE01, 0xE2E)] * 3 + [(0xE30, 0xE3A), (0xE47, 0xE4E), (0xE50, 0xE59)],
    "tibetan": [(0xF40, 0xF47), (0xF71, 0xF7D), (0xF90, 0xF97)],
    "ethiopic": [(0x1200, 0x1248)],
    "khmer": [(0x1780, 0x17A2), (0x17B6, 0x17D3)],
    "cherokee": [(0x13A0, 0x13F5), (0xAB70, 0xABBF)],
    "hiragana": [(0x3041, 0x3096)] * 2 + [(0x3099, 0x309A)],
    "katakana": [(0x30A1, 0x30FA), (0xFF66, 0xFF9F)],
    "han": [(0x4E00, 0x9FFF)] * 5 + [(0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0xF900, 0xFA6D)],
    "hangul": [(0xAC00, 0xD7A3)] * 4 + [(0x1100, 0x1112), (0x1161, 0x1175), (0x11A8, 0x11C2)],
    "math": [(0x1D400, 0x1D454), (0x1D7CE, 0x1D7FF), (0x2200, 0x22FF)],
    "gothic": [(0x10330, 0x1034A)],
}
COMMON = ("the of and to in is that it was for on are as with his they at be this from have or by one had not "
          "but what all were when we there can an your which their said if do will each about how up out "
          "query intent question type utterance card payment transfer account balance refund exchange rate").split()
CONTRACTIONS = ["'s", "'S", "'t", "'T", "'re", "'RE", "'Ve", "'ve", "'m", "'ll", "'lL", "'d", "'D",
                "'\u017f", "'\u017ft", "\u2019s", "'\u212a", "'", "''", "'x", "'\u00df", "'v", "'l", "'r", "'\ufb06"]
SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\r", "\u00a0", "\u2028", "\u2029", "\u3000", "\u200b",
          "\u180e", "\u1680", "\u2003", "\u202f", "\u205f", "\u0085", "\x0b", "\x0c", "\x1c", "\x1f", "\ufeff",
          "\u2060", " \t ", "\n\n", " \n ", "\t\t\t", "    ", "        ", " \u00a0 ", "\n \n", "\r\r\n", " \r\n  "]
EMOJI = ["\U0001F600", "\U0001F44D\U0001F3FD", "\U0001F468\u200d\U0001F469\u200d\U0001F467\u200d\U0001F466",
         "\U0001F1E9\U0001F1EA", "\U0001F1EF\U0001F1F5", "\u2764\ufe0f", "\u2764\ufe0f\u200d\U0001F525",
         "\U0001F3F4\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F", "1\ufe0f\u20e3",
         "\U0001F937\U0001F3FF\u200d\u2640\ufe0f", "\u263a", "\U0001FAE8", "\U0001F170", "\u24b6\u24d0", "\u2122"]
NUMBERS = ["0", "7", "42", "2024", "1234567", "3.14159", "1,000,000", "1e-05", "0xDEADBEEF", "\u0663\u0664\u0665",
           "\u096a\u096b", "\u2167", "\u00bd", "\u00b2\u00b3", "\u2460", "\u3007", "\u4e8c", "\u0be7", "\U0001d7d8",
           "192.168.0.1", "1/2", "10\u207b\u00b3", "\u2189", "\u09f4", "\uff11\uff12", "0" * 17]
COMBINING = ["\u0301", "\u0308", "\u0323", "\u0327", "\u0338", "\u20d7", "\u0345", "\u0300", "\u031b", "\u0f71",
             "\u0f72", "\u05b8", "\u3099", "\u093c", "\U0001d165", "\U0001d16d"]
NORMAL = ["e\u0301", "\u00e9", "a\u0323\u0302", "\u1ead", "\u212b", "A\u030a", "\u2126", "\ufb01", "\u1e9b\u0323",
          "\u1100\u1161\u11a8", "\uac01", "\u0958", "\u0915\u093c", "\u0344", "\u0387", "\u1fef", "\u2000", "\uf900",
          "\u0cc6\u0cc2\u0cd5", "\U0001d15e", "\u0e33", "q\u0307\u0323", "\u304b\u3099", "\u0340", "\u0374",
          "\U0002f800", "\ufb1d", "\u2adc", "\u0f43", "\u0f73\u0f75", "\u0073\u0323\u0307", "\u1e69"]
CODE = ["for (int i = 0; i < n; ++i) {", "\treturn x->y[i] != nullptr ? *p : 0;", "def f(self, *args, **kw):",
        "    if not x:\n        raise ValueError(f\"{x!r}\")", "#include <vector>\r\n", "<div class=\"a\">&nbsp;</div>",
        "SELECT * FROM t WHERE a = 'it''s';", "https://example.org/a?b=c&d=%20#e", "x = {\"k\": [1, 2.5e3, null]}",
        "\\frac{1}{2} \\alpha_{i}^{2}", "$ git commit -m 'x' && make -j8", "a_b__c___d", "camelCaseWordsHTTPServer",
        "/* comment */ // more", "template<typename... T>", "0b1010 | ~0u >> 3", "@decorator", "```python\n```", "->=>!=<=",
        "\t\t\t}\n\t\t}\n\t}", "%s%d%n", "C:\\Users\\x", "user.name+tag@mail.example", "----", "====\n", "\n==\n", "...",
        "\u2026", "!!!???", "\u00ab\u00bb\u201e\u201c", "\u3002\u3001\uff01", "()[]{}", "~~", "\u2014\u2013-"]
MARKERS = ["<s>", "</s>", "<unk>", "<|endoftext|>", "<|eot|>", " <|eot|> ", "<|start|>user<|end|>", "[INST]", "[/INST]",
           "<mask>", "  <mask>  ", "<mask>\n", "wordy", "a wordy b", "xwordyx", "\u00e9wordy", "wordy\u0301", "wordy_",
           "wordy.", "<|a|><|a|>", "<0x41>", "<0xE2>", "\u2581", "\u2581\u2581x", "Caf\u00e9", "Cafe\u0301", "<|end|>x",
           " word2 ", "word2\u200d", "\u24b6wordy", "<|st", "|>", "<|start|", "\u0120", "\u010a", "<br>", "<br> <br>", "<br>   x",
           "  <br>", "lr", " lr ", "xlrx", "   ", "\t<mask>\u3000"]
ODD = ["\x00", "\x01\x02", "\x1b[0m", "\x7f", "\x80", "\x9f", "\ue000", "\uf8ff", "\U000f0000", "\U0010ffff", "\ufffe",
       "\uffff", "\ufffd", "\ufdd0", "\u0378", "\U000e0001", "\u202e", "\u200e", "\u061c", "\u00ad", "\u034f", "\u0130",
       "\u0131", "\u01c5", "\u1e9e", "\u03c2", "\ufb00", "\u0149", "\u1f88", "\ua64b", "\u01f0", "\u1c80", "\u2c2f",
       "\U00016e40", "\U0001e900", "\U00010d00", "\u08be", "\U0001f8b0", "\u09fe", "\U00011f04", "\u1e030"]


def word(rng, script):
    ranges = SCRIPTS[script]
    return "".join(chr(rng.randint(*rng.choice(ranges))) for _ in range(min(1 + int(rng.expovariate(0.25)), 14)))


def fragment(rng):
    kind = rng.random()
    if kind < 0.28:
        return rng.choice(COMMON) + (rng.choice(CONTRACTIONS) if rng.random() < 0.2 else "")
    if kind < 0.52:
        text = word(rng, rng.choice(list(SCRIPTS)))
        return text + (rng.choice(CONTRACTIONS) if rng.random() < 0.1 else "")
    for bound, choices in ((0.58, NUMBERS), (0.64, EMOJI), (0.70, CODE), (0.76, NORMAL), (0.83, MARKERS), (0.88, ODD),
                           (0.92, SPACES)):
        if kind < bound:
            return rng.choice(choices)
    if kind < 0.95:  # a letter under a heap of marks
        return rng.choice("aeoqz\u0915\u05d0\u0f40") + "".join(rng.choice(COMBINING) for _ in range(rng.randint(1, 5)))
    if kind < 0.97:  # a run
        return rng.choice(["a", " ", "\n", "=", "-", "0", "\u3042", "\U0001F600", "\t", ".", "\u0301", "ha", " \n"]) * rng.randint(2, 60)
    while True:  # anything at all
        c = rng.choice([rng.randint(0, 0x2FF), rng.randint(0, 0xFFFF), rng.randint(0, 0x1FFFF), rng.randint(0, 0x10FFFF)])
        if not 0xD800 <= c <= 0xDFFF:
            return chr(c)


def line(rng):
    text = rng.choice(SPACES) if rng.random() < 0.12 else ""
    for _ in range(rng.randint(1, 13)):
        joint = rng.random()
        text += fragment(rng) + (" " if joint < 0.62 else "" if joint < 0.85 else rng.choice(SPACES))
    return text if rng.random() < 0.4 else text.rstrip(" ")


def corpus():
    rng = random.Random(SEED)
    # Every fragment once by itself and once inside words, then mixtures.
    alone = [f for group in (CONTRACTIONS, SPACES, EMOJI, NUMBERS, NORMAL, CODE, MARKERS, ODD, COMBINING) for f in group]
    lines = [""] + alone + ["it" + f + "is" for f in alone] + [" " + f + "  x" for f in alone]
    lines += ["x" * 3000, "ab" * 2000, " " * 2500, "\n" * 1500, "1" * 2000, "\u0301\u0323" * 800, "\U0001F600" * 500, "=-" * 900,
              " \n" * 700, "a " * 900, "\u4e00" * 700]
    rng.shuffle(lines)
    lines += [line(rng) for _ in range(LINES - len(lines))]
    assert len(lines) == LINES
    return lines


def training_text():
    rng = random.Random(SEED + 1)
    return [line(rng) for _ in range(4000)]


# ---------------------------------------------------------------------------------------------------
# Tokenizers

def added(content, **flags):
    return AddedToken(content, **{"normalized": False, "special": False, **flags})


SPECIALS = [added(c, special=True) for c in ("<|endoftext|>", "<|start|>", "<|end|>", "<|eot|>", "<|a|>")]
# One of each flag, so that all are exercised, no matter what the family ships.
FLAGGED = [added("<mask>", special=True, lstrip=True), added("<br>", rstrip=True), added("lr", lstrip=True, rstrip=True),
           added("wordy", single_word=True), added("word2", single_word=True, normalized=True, lstrip=True),
           added("Caf\u00e9", normalized=True), added("[INST]"), added("<|st")]
# Takes white space away from the pre-tokenizer, so only kinds that are no family's have it.
SPACES_TOKEN = [added("   ")]


def byte_level_bpe(texts, normalizer, pre_tokenizer, vocab_size=1400, ignore_merges=False, keep_alphabet=True):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=vocab_size, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tokenizer


def split_bytes(pattern):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), behavior="isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)])


def llama3(texts):
    tokenizer = byte_level_bpe(texts, None, split_bytes(LLAMA3), ignore_merges=True)
    # Whole words that no sequence of merges reaches: only ignore_merges finds them.
    data = json.loads(tokenizer.to_str())
    for unreachable in ("\u0120qzxj", "zzzq", "\u0120refund"):
        data["model"]["vocab"].setdefault(unreachable, len(data["model"]["vocab"]))
    return Tokenizer.from_str(json.dumps(data))


def gpt2(texts):
    return byte_level_bpe(texts, None, pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True))


def smollm2(texts):
    return byte_level_bpe(texts, None, pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True)]))


def qwen2(texts):
    return byte_level_bpe(texts, normalizers.NFC(), split_bytes(QWEN2))


def nemo(texts):
    return byte_level_bpe(texts, None, split_bytes(NEMO))


def byte_fallback_bpe(texts, vocab_size=1400):
    """A BPE model like Llama 2's: <unk>, <s>, </s>, 256 bytes, characters, merges over U+2581."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("\u2581"), behavior="merged_with_next")  # for training only
    specials = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % b for b in range(256)]
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=vocab_size, show_progress=False, special_tokens=specials, limit_alphabet=300))
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = []
    data["pre_tokenizer"] = None
    # Runs of U+2581 exist in Llama 2's vocabulary, up to 16.
    vocab, merges = data["model"]["vocab"], data["model"]["merges"]
    for n in (2, 4, 8):
        vocab.setdefault("\u2581" * n, len(vocab))
        merges.append(["\u2581" * (n // 2)] * 2 if merges and isinstance(merges[0], list)
                      else "\u2581" * (n // 2) + " " + "\u2581" * (n // 2))
    return data


LLAMA2_DECODER = {"type": "Sequence", "decoders": [
    {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}


def llama2(texts):
    data = byte_fallback_bpe(texts)
    data["decoder"] = LLAMA2_DECODER
    return Tokenizer.from_str(json.dumps(data))


def llama2_metaspace(prepend_scheme, split):
    def make(texts):
        data = byte_fallback_bpe(texts)
        data["normalizer"] = None
        data["pre_tokenizer"] = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": prepend_scheme, "split": split}
        data["decoder"] = LLAMA2_DECODER if not split else {
            "type": "Metaspace", "replacement": "\u2581", "prepend_scheme": prepend_scheme, "split": split}
        return Tokenizer.from_str(json.dumps(data))
    return make


def unk_without_bytes(texts):
    """No family's: an unknown token that is not fused, no bytes, no decoder, and every split behaviour."""
    data = byte_fallback_bpe(texts)
    model = data["model"]
    model.update(byte_fallback=False, fuse_unk=False)
    data["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]}
    data["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"String": "\u2581"}, "behavior": "MergedWithNext", "invert": False},
        {"type": "Split", "pattern": {"Regex": r"\d+"}, "behavior": "Contiguous", "invert": False},
        {"type": "Split", "pattern": {"Regex": r"[.,!?\-]"}, "behavior": "MergedWithPrevious", "invert": False},
        {"type": "Split", "pattern": {"Regex": r"[\x00-\x08\s]+"}, "behavior": "Removed", "invert": False},
        {"type": "Split", "pattern": {"Regex": r"\P{Lu}+|\p{Lu}+"}, "behavior": "Removed", "invert": True},
        {"type": "Digits", "individual_digits": False}]}
    data["decoder"] = None
    return Tokenizer.from_str(json.dumps(data))


def gpt2_prefix_space(texts):
    return byte_level_bpe(texts, None, pre_tokenizers.ByteLevel(add_prefix_space=True, trim_offsets=True))


KINDS = {
    "llama3": llama3, "gpt2": gpt2, "smollm2": smollm2, "qwen2": qwen2, "mistral_nemo": nemo, "llama2": llama2,
    "llama2_metaspace": llama2_metaspace("first", False), "metaspace_always": llama2_metaspace("always", True),
    "gpt2_prefix_space": gpt2_prefix_space, "unk_without_bytes": unk_without_bytes,
}
NO_FAMILY = {"gpt2_prefix_space", "unk_without_bytes", "metaspace_always"}


def bert(lowercase):
    """WordPiece as BERT ships it, with a small vocabulary of our own; cased or not."""
    def make(texts):
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece(cleanup=lowercase)
        tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(
            vocab_size=900, show_progress=False, limit_alphabet=250,
            special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
        # Training leaves the order of equal tokens open; sorted, a second run gives the same file.
        data = json.loads(tokenizer.to_str())
        tokens = sorted(data["model"]["vocab"], key=lambda t: (not t.startswith("["), t))
        data["model"]["vocab"] = {t: i for i, t in enumerate(tokens)}
        for entry in data["added_tokens"]:
            entry["id"] = data["model"]["vocab"][entry["content"]]
        return Tokenizer.from_str(json.dumps(data))
    return make


BERT_KINDS = {"bert_uncased": bert(True), "bert_cased": bert(False)}


def make_bert(out, lines, texts):
    for kind, make in BERT_KINDS.items():
        tokenizer = make(texts)
        tokenizer.add_tokens(SPECIALS + FLAGGED)
        (out / kind).mkdir(exist_ok=True)
        path = out / kind / "tokenizer.json"
        path.write_text(tokenizer.to_str(pretty=False), encoding="utf-8")
        parsed, plain = Tokenizer.from_file(str(path)), Tokenizer.from_file(str(path))
        plain.encode_special_tokens = True
        hashes = bytearray()
        for text in lines:
            ids = parsed.encode(text, add_special_tokens=False).ids
            line_hashes = (fnv_ids(ids), fnv_ids(plain.encode(text, add_special_tokens=False).ids),
                           fnv(parsed.decode(ids, skip_special_tokens=True).encode("utf-8")))
            hashes += struct.pack("<I", fnv(struct.pack("<III", *line_hashes)))
        (out / (kind + ".hashes")).write_bytes(bytes(hashes))
    blocks = bytearray()
    for lowercase in (True, False):
        normalizer = normalizers.BertNormalizer(lowercase=lowercase)
        for block in range(0, 0x110000, 256):
            text = "".join("a%sb \u0915%s\u0301\u0323" % (chr(c), chr(c))
                           for c in range(block, block + 256) if not 0xD800 <= c <= 0xDFFF)
            pieces = pre_tokenizers.BertPreTokenizer().pre_tokenize_str(normalizer.normalize_str(text))
            blocks += struct.pack("<I", fnv("|".join(p for p, _ in pieces).encode("utf-8")))
    (out / "bert.expected").write_bytes(bytes(blocks))


def train_sentencepiece(folder, name, texts, **options):
    import sentencepiece
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "training.txt"
    # sentencepiece reads lines and wants a piece for nearly every character, so rare ones are left out.
    count = collections.Counter(c for t in texts for c in t)
    source.write_text("\n".join(" ".join("".join(c for c in t if count[c] >= 8 and c != "\x00").split())
                                for t in texts), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.Train(
        input=str(source), model_prefix=str(folder / "tokenizer"), character_coverage=0.999, num_threads=1,
        minloglevel=2, max_sentence_length=100000, **options)
    source.unlink()
    (folder / "tokenizer.vocab").unlink()


def make_sentencepiece(out, texts):
    train_sentencepiece(out / "sentencepiece_bpe", "bpe", texts, model_type="bpe", vocab_size=3000, byte_fallback=True,
                        add_dummy_prefix=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
                        split_digits=True, allow_whitespace_only_pieces=True, user_defined_symbols=["[INST]"])
    train_sentencepiece(out / "sentencepiece_unigram", "unigram", texts, model_type="unigram", vocab_size=3000,
                        normalization_rule_name="nmt_nfkc")


# ---------------------------------------------------------------------------------------------------
# Files

def fnv(data):
    value = FNV_OFFSET
    for byte in data:
        value = ((value ^ byte) * FNV_PRIME) & MASK
    return value


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def fnv_ids(ids):
    return fnv(struct.pack("<%di" % len(ids), *ids))


def expected_file(path, lines, encode, encode_plain, decode):
    out = bytearray()
    ids_of = [encode(text) for text in lines]
    for text, ids in zip(lines, ids_of):
        out += struct.pack("<III", fnv_ids(ids), fnv_ids(encode_plain(text)), fnv(decode(ids).encode("utf-8")))
    for ids in ids_of[:FULL_LINES]:
        out += varint(len(ids)) + b"".join(varint(i) for i in ids)
    path.write_bytes(bytes(out))
    return sum(len(i) for i in ids_of)


def split_special(encode, names):
    """How Hugging Face's Llama tokenizer wraps sentencepiece: special tokens first, the rest one by one."""
    def run(text):
        ids, start, pos = [], 0, 0
        while pos < len(text):
            hit = max((n for n in names if text.startswith(n, pos)), key=len, default=None)
            if hit is None:
                pos += 1
                continue
            if pos > start:
                ids += encode(text[start:pos])
            ids.append(names[hit])
            pos += len(hit)
            start = pos
        return ids + (encode(text[start:]) if start < len(text) else [])
    return run


def ranges(code_points):
    out, start, last = [], None, None
    for c in code_points:
        if start is None:
            start = last = c
        elif c == last + 1:
            last = c
        else:
            out.append((start, last))
            start = last = c
    if start is not None:
        out.append((start, last))
    return " ".join("%x-%x" % r if r[0] != r[1] else "%x" % r[0] for r in out)


def all_code_points():
    return [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]


def matched_by_regex(pattern):
    split = pre_tokenizers.Split(Regex(pattern), behavior="removed", invert=True)
    found = []
    for text, _ in split.pre_tokenize_str("".join(map(chr, all_code_points()))):
        found += [ord(c) for c in text]
    return found


def word_characters():
    """\\w of the added tokens' single_word, seen from outside: the token is not found next to such a character."""
    tokenizer = Tokenizer(models.BPE(vocab={"?": 0}, merges=[], unk_token="?"))
    tokenizer.add_tokens([added("xy", single_word=True)])
    return [c for c in all_code_points() if 1 not in tokenizer.encode(chr(c) + "xy").ids]


def unicode_file(path):
    names = ("L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp C Cc Cf Cn Co").split()
    rows = [(r"\p{%s}" % n, matched_by_regex(r"\p{%s}" % n)) for n in names]
    rows += [(r"\s", matched_by_regex(r"\s")), (r"\w", word_characters())]
    digits = pre_tokenizers.Digits(individual_digits=True)
    rows.append(("digits", [c for c in all_code_points()
                            if len(digits.pre_tokenize_str("\u00a0" + chr(c))) == 2]))
    rows.append((r"(?i:'s|'t|'m|'d)", [
        c for c in all_code_points()
        if len(pre_tokenizers.Split(Regex("(?i:'s|'t|'m|'d)"), "isolated").pre_tokenize_str("-'" + chr(c))) == 2]))
    path.write_text("".join("%s %s\n" % (name, ranges(found)) for name, found in rows), encoding="ascii")


def nfc_file(path):
    nfc = normalizers.NFC()
    out = bytearray()
    for block in range(0, 0x110000, 256):
        text = "".join("%s;a%s;\u0915%s\u0301\u0323;%sb" % ((chr(c),) * 4)
                       for c in range(block, block + 256) if not 0xD800 <= c <= 0xDFFF)
        out += struct.pack("<I", fnv(nfc.normalize_str(text).encode("utf-8")))
    path.write_bytes(bytes(out))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parents[2] / "tests" / "tokenizer" / "reference"
    parser.add_argument("--out", type=pathlib.Path, default=default)
    parser.add_argument("--only-bert", action="store_true", help="the files of the WordPiece kinds alone")
    args = parser.parse_args()
    out = args.out
    out.mkdir(parents=True, exist_ok=True)
    lines, texts = corpus(), training_text()
    make_bert(out, lines, texts)
    if args.only_bert:
        return
    (out / "corpus.bin").write_bytes(b"".join(varint(len(t.encode("utf-8"))) + t.encode("utf-8") for t in lines))
    for kind, make in KINDS.items():
        tokenizer = make(texts)
        tokenizer.add_tokens(SPECIALS + FLAGGED + (SPACES_TOKEN if kind in NO_FAMILY else []))
        folder = out / kind
        folder.mkdir(exist_ok=True)
        (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=False), encoding="utf-8")
        parsed = Tokenizer.from_file(str(folder / "tokenizer.json"))
        plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
        plain.encode_special_tokens = True
        count = expected_file(out / (kind + ".expected"), lines,
                              lambda t: parsed.encode(t, add_special_tokens=False).ids,
                              lambda t: plain.encode(t, add_special_tokens=False).ids,
                              lambda ids: parsed.decode(ids, skip_special_tokens=True))
        print(kind, tokenizer.get_vocab_size(), "tokens,", count, "ids", file=sys.stderr)
    import sentencepiece
    make_sentencepiece(out, texts)
    for kind in ("sentencepiece_bpe", "sentencepiece_unigram"):
        processor = sentencepiece.SentencePieceProcessor(model_file=str(out / kind / "tokenizer.model"))
        names = {processor.IdToPiece(i): i for i in range(processor.GetPieceSize())
                 if processor.IsControl(i) or processor.IsUnknown(i)}
        special = set(names.values())
        count = expected_file(out / (kind + ".expected"), lines, split_special(processor.EncodeAsIds, names),
                              processor.EncodeAsIds,
                              lambda ids: processor.DecodeIds([i for i in ids if i not in special]))
        print(kind, processor.GetPieceSize(), "tokens,", count, "ids", file=sys.stderr)
    unicode_file(out / "unicode.txt")
    nfc_file(out / "nfc.expected")
    (out / "README.md").write_text(
        "Made by tools/reference/make_tokenizer_reference.py (which describes the formats) with tokenizers %s,\n"
        "sentencepiece %s, Python %s; %d lines, seed %d. The vocabularies are our own.\n"
        % (tokenizers.__version__, sentencepiece.__version__, sys.version.split()[0], LINES, SEED), encoding="ascii")


if __name__ == "__main__":
    main()
