"""Token ids of a GGUF file's vocabulary, by the definition and slowly: for checks by hand.

Kinds `llama` (merges by the scores of what they join) and `gpt2` with the pre-tokenisers below.
"""

import regex
from gguf import GGUFReader

USER_DEFINED = 4  # type of a token
SPACE = "\u2581"

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# The expressions that cut a text into pieces, one after the other.
PRE_TOKENISERS = {"gpt-2": [GPT2], "smollm": [r"\p{N}", GPT2]}


def byte_alphabet():
    """GPT-2's: a printable character for every byte."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in kept]
    return {byte: chr(byte) for byte in kept} | {byte: chr(256 + i) for i, byte in enumerate(others)}


def pieces_of(text, pattern):
    """Matches and what is between them."""
    pieces, end = [], 0
    for match in regex.finditer(pattern, text):
        pieces += [text[end:match.start()], match.group()]
        end = match.end()
    return [piece for piece in [*pieces, text[end:]] if piece]


def merge(parts, rank):
    """Joins the neighbours of least rank, leftmost first, until no join has one."""
    while True:
        ranks = [rank(*pair) for pair in zip(parts, parts[1:])]
        known = [one for one in ranks if one is not None]
        if not known:
            return parts
        at = ranks.index(min(known))
        parts = [*parts[:at], parts[at] + parts[at + 1], *parts[at + 2:]]


class Tokens:
    def __init__(self, path):
        fields = GGUFReader(path).fields

        def key(name, absent=None):
            field = fields.get("tokenizer.ggml." + name)
            return absent if field is None else field.contents()

        self.path, self.kind, self.pre = path, key("model"), key("pre")
        self.texts, self.types = key("tokens"), key("token_type")
        self.ids = {text: id for id, text in reversed(list(enumerate(self.texts)))}
        self.bos = key("bos_token_id")
        self.scores = key("scores")
        self.space_prefix = key("add_space_prefix", True)
        self.ranks = {tuple(pair.split(" ")): i for i, pair in enumerate(key("merges", []))}
        # Cut out of texts, the longest first. Control tokens are text in a demonstration.
        self.own = {text: True for text in sorted(
            (text for text, type in zip(self.texts, self.types) if type == USER_DEFINED),
            key=lambda text: -len(text.encode()))}
        self.alphabet = byte_alphabet()
        if self.kind == "gpt2" and self.pre not in PRE_TOKENISERS:
            raise ValueError(f"{path}: expected a pre-tokeniser of {', '.join(PRE_TOKENISERS)}, found {self.pre}")
        if self.kind not in ("gpt2", "llama"):
            raise ValueError(f"{path}: expected a vocabulary of kind gpt2 or llama, found {self.kind}")

    def encode(self, text):
        parts = [text]
        for own in self.own:
            if own in text:
                parts = [piece for part in parts for piece in
                         ([part] if part in self.own else self.cut(part, own))]
        encode = self.encode_gpt2 if self.kind == "gpt2" else self.encode_llama
        ids = []
        for i, part in enumerate(parts):
            ids += [self.ids[part]] if part in self.own else encode(part, i == 0)
        return ids

    @staticmethod
    def cut(text, own):
        pieces = text.split(own)
        joined = [piece for part in pieces for piece in (part, own)][:-1]
        return [piece for piece in joined if piece]

    def encode_gpt2(self, text, _first):
        pieces = [text]
        for pattern in PRE_TOKENISERS[self.pre]:
            pieces = [new for piece in pieces for new in pieces_of(piece, pattern)]
        ids = []
        for piece in pieces:
            letters = [self.alphabet[byte] for byte in piece.encode()]
            ids += [self.ids[part] for part in merge(letters, lambda a, b: self.ranks.get((a, b)))]
        return ids

    def encode_llama(self, text, first):
        text = (" " if first and self.space_prefix else "") + text
        ids = []
        for part in merge(list(text.replace(" ", SPACE)), self.score_of_join):
            ids += [self.ids[part]] if part in self.ids else [self.ids[f"<0x{byte:02X}>"] for byte in part.encode()]
        return ids

    def score_of_join(self, a, b):
        id = self.ids.get(a + b)
        return None if id is None else -self.scores[id]

    def decode(self, ids):
        """As bytes, which may be a part of a character."""
        if self.kind == "gpt2":
            back = {letter: byte for byte, letter in self.alphabet.items()}
            return b"".join(bytes(back[letter] for letter in self.texts[id]) for id in ids)
        texts = (self.texts[id] for id in ids)
        return b"".join(bytes([int(text[3:5], 16)]) if regex.fullmatch("<0x[0-9A-F]{2}>", text)
                        else text.replace(SPACE, " ").encode() for text in texts)
