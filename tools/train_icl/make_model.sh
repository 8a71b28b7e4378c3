#!/bin/sh
# A small model from nothing: training, measuring, the card. About a quarter of an hour on two cores.
set -eu
cd "$(dirname "$0")/../.."

usage() {
  cat <<'END'
usage: tools/train_icl/make_model.sh DATA

DATA is a folder with nlu, hwu64 and snips (train.jsonl each: {"text", "label"} a line), from which the
model learns, and banking77 and trec (train.jsonl, test.jsonl, test_indices.json), on which it is
measured. Writes build/icl-model (the run), build/icl-evaluation and build/icl-card (the model). What is done
already is not done again; remove build/icl-model to train again.

Needs Python 3.11 with torch, numpy, tokenizers, safetensors and matplotlib (PYTHON names another
python3), WordNet 3.0 (Debian's wordnet-base) and build/release/bin/dbsa-pipe.
END
}

case "${1-}" in
  "" | -h | --help) usage; [ -n "${1-}" ] && exit 0 || exit 2 ;;
esac
python=${PYTHON:-python3}
model=build/icl-card
"$python" tools/train_icl/train.py --data "$1" --out build/icl-model
mkdir -p "$model"
cp build/icl-model/config.json build/icl-model/model.safetensors build/icl-model/tokenizer.json \
  build/icl-model/tokenizer_config.json "$model"
"$python" tools/train_icl/evaluate.py --model "$model" --data "$1" --out build/icl-evaluation
"$python" tools/train_icl/card.py --run build/icl-model --evaluation build/icl-evaluation --out "$model"
