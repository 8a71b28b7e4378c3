#!/usr/bin/env python3
"""Writes a trained model's card and its two plots: README.md, learning.svg, demonstrations.svg.

    tools/train_icl/card.py --run build/icl-model --evaluation build/icl-evaluation --out MODEL

--run is train.py's output folder, --evaluation is evaluate.py's; every figure comes from them.
"""

import argparse
import json
import pathlib
import tomllib

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "icl"   # the same file each time
import matplotlib.pyplot as plt  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent

CARD = """---
license: apache-2.0
language: en
pipeline_tag: text-generation
tags: [in-context-learning, text-classification]
---

# A small Llama that learns in context

{parameters:.1f} million parameters, plain Llama architecture, {context:,} positions. It reads a
classification task from labelled examples in its prompt, labels it has never seen included, and does
nothing else: it writes no prose and knows no facts. It is made to show many-shot in-context learning,
and what block-sparse attention does to it, on any machine in seconds.

Prompts look like this, one example after the other, the query last:

```text
query: can I keep the atlas another week?
intent: renew loan
==
query: the front brake squeaks
intent:
```

## Accuracy

Measured with `dbsa-pipe run`, {queries} queries. Where there are several demonstration sets the
figure is their mean, the interval Student's t over the sets; else Wilson's over the queries.
*fixed* is dense attention over all demonstrations; *DBSA* encodes blocks of 50 under an anchor and
two blocks before, and answers from the 30 % of them that BM25 ranks first. Blocks of 5 to 20 let BM25
choose better: with them DBSA is above *fixed* on data sets that training never saw.

{table}

quickstart: 24 intents of two domains that training never saw. banking77 and trec: public data sets,
no line of which was used in training. Settings were chosen on classes kept out of training; faults of
the attention patterns were looked for on trec's prompts too, since they were plainest there. *banking77-words* has every label
replaced by a random word. *16 by BM25* takes the 16 nearest of all training demonstrations, each
encoded on its own behind a BOS token; *vote* is what the majority of the same 16 says, without a
model. trec's BM25 keeps words as they are, because English stop words are question words.

![accuracy against the number of demonstrations](demonstrations.svg)

## How it was made

{training}

![learning curve](learning.svg)

The curve is accuracy on classes kept out of training: {validation}.

1. **Word vectors**: a weighted bag of tokens in two views, trained so that sentences of one class lie
   close. Tasks are drawn from all sources below, of up to 96 classes; in 12 % of them the vocabulary is
   permuted; on 15 % of the steps a sentence sees its 16 nearest alone, as a retriever would show them.
2. **Structured start**: those vectors and hand-made attention patterns are written into the weights
   (`start.py` says which): demonstrations are told apart by what stands before their separator, a
   sentence's embedding is pooled and carried to its label, and the query looks for labels whose
   embedding is near. So the network classifies in context without having been trained to.
3. No training of the network itself: after an earlier form of this start it gained nothing on classes
   kept out of training; after this one it was not tried.
   The trainer does it where the recipe has phases.

| text | licence |
|---|---|
| our own grammars, {domains} domains (`tools/make_icl_data/domains`) | Apache-2.0 |
| NLU Evaluation Data, training part, and HWU64's (Liu et al., 2019) | CC-BY-4.0 |
| SNIPS, training part (Coucke et al., 2018) | CC0-1.0 |
| WordNet 3.0, definitions and the hierarchy of kinds (Princeton University) | WordNet License |

Limits: English, sentences of up to about 60 tokens; a sentence counts as the bag of its words, order
does not; it copies labels and writes nothing of its own. Labels follow a line of one word and a colon
("intent: ", "label: "); prompts of another form are not read. Attention is sharp, so logits in bfloat16
differ from float32's by some hundredths of their norm.

## Making it again

```sh
tools/train_icl/make_model.sh DATA      # DATA: folder with nlu, hwu64, snips, banking77 and trec
```

trains, measures and writes this folder. The recipe is `tools/train_icl/recipe.toml`.
"""


def plot(path, draw):
    figure, axes = plt.subplots(figsize=(6.4, 3.6))
    draw(axes)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc=(0.52, 0.15))
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def draw_demonstrations(axes, figures):
    points = sorted((int(name.split()[-1]), figure) for name, figure in figures.items()
                    if name.startswith("quickstart fixed") and name.split()[-1].isdigit())
    counts = [count for count, _ in points]
    means = [figure["mean"] for _, figure in points]
    errors = [[figure["mean"] - figure["low"] for _, figure in points],
              [figure["high"] - figure["mean"] for _, figure in points]]
    axes.errorbar(counts, means, yerr=errors, marker="o", capsize=3, label="fixed (dense, all of them)")
    axes.axhline(figures["quickstart zero-shot"]["mean"], ls="--", color="grey", label="zero-shot")
    sparse = figures["quickstart DBSA all"]
    axes.axhline(sparse["mean"], ls=":", color="tab:red", label="DBSA, all demonstrations")
    axes.set(xscale="log", ylim=(0, 1), xlabel="demonstrations", ylabel="accuracy",
             title="Quick start: 24 unseen intents")
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.minorticks_off()


def draw_learning(axes, curve):
    for name in curve[0]["validation"]:
        axes.plot([entry["bag step"] for entry in curve],
                  [entry["validation"][name] for entry in curve], marker=".", label=name)
    axes.set(ylim=(0, 1), xlabel="step of the word vectors", ylabel="accuracy",
             title="Classes kept out of training")


def main():
    parser = argparse.ArgumentParser(description="Write a trained model's card and plots.")
    parser.add_argument("--run", required=True, type=pathlib.Path)
    parser.add_argument("--evaluation", required=True, type=pathlib.Path)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    curve = [json.loads(line) for line in (arguments.run / "bag_curve.jsonl").read_text().splitlines()]
    evaluation = json.loads((arguments.evaluation / "evaluation.json").read_text())
    recipe = tomllib.loads((HERE / "recipe.toml").read_text())
    config = json.loads((arguments.out / "config.json").read_text())
    import corpus

    last = curve[-1]
    sentences = last["bag step"] * recipe["bag"]["demonstrations"]
    training = (f"{last['bag step']:,} steps of {recipe['bag']['demonstrations']} sentences, "
                f"{sentences / 1e6:.1f} million in all, {last['seconds'] / 60:.0f} minutes on one CPU core.")
    validation = ", ".join(sorted(corpus.VALIDATION_DOMAINS | corpus.VALIDATION_SCENARIOS)).replace("_", " ")
    domains = len(list((HERE.parent / "make_icl_data/domains").glob("*.toml")))
    domains -= len(corpus.VALIDATION_DOMAINS)
    parameters = (arguments.out / "model.safetensors").stat().st_size / 2 / 1e6
    card = CARD.format(
        parameters=parameters, context=config["max_position_embeddings"], queries=evaluation["queries"],
        table=(arguments.evaluation / "evaluation.md").read_text().strip(), training=training,
        validation=validation, domains=domains)
    (arguments.out / "README.md").write_text(card)
    plot(arguments.out / "demonstrations.svg", lambda axes: draw_demonstrations(axes, evaluation["figures"]))
    plot(arguments.out / "learning.svg", lambda axes: draw_learning(axes, curve))


if __name__ == "__main__":
    main()
