#!/usr/bin/env python3
"""Trains the small Llama that the quick start runs on, and writes it as a Hugging Face folder.

    tools/train_icl/train.py --data DATA --wordnet /usr/share/wordnet --out build/icl-model

DATA holds nlu/train.jsonl, hwu64/train.jsonl and snips/train.jsonl, lines of {"text", "label"}.
WordNet 3.0 is Debian's wordnet-base. A run that is stopped continues from its last save.
"""

import argparse
import ctypes
import json
import math
import os
import pathlib
import random
import time
import tomllib

import numpy as np
import torch
from tokenizers import Tokenizer

import bag
import corpus
import model as llama
import objectives
import prompts
import start

HERE = pathlib.Path(__file__).resolve().parent


def parse_arguments():
    parser = argparse.ArgumentParser(
        description="Train the small in-context-learning Llama.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of the open data sets")
    parser.add_argument("--wordnet", default="/usr/share/wordnet", help="folder of WordNet's files")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="folder of run and model")
    parser.add_argument("--recipe", default=HERE / "recipe.toml", type=pathlib.Path)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=0, help="0: as many as there are cores")
    parser.add_argument("--save-every", type=int, default=200, help="steps between two saves")
    return parser.parse_args()


def prepare(arguments, recipe):
    """The corpus, and the tokenizer: the one in the output folder, or a new one."""
    texts = corpus.Corpus(arguments.data, arguments.wordnet, recipe["seed"],
                          recipe["sentences_per_intent"])
    path = arguments.out / "tokenizer.json"
    if path.exists():
        tokenizer = Tokenizer.from_file(str(path))
    else:
        tokenizer = prompts.train_tokenizer(list(texts.texts()), recipe["model"]["vocab_size"], path)
    return texts, prompts.Prompts(tokenizer, texts)


def bag_accuracy(words, source, texts, settings):
    """Accuracy on classes kept out of training, by group."""
    figures = {}
    for name, groups in texts.validation.items():
        rng = random.Random(7)
        seen = []
        with torch.no_grad():
            for _ in range(4):
                task = texts.from_groups(rng, groups, len(groups), 60)
                ids, mask, classes = bag.batch_of(source, task, 4 * settings["demonstrations"], rng)
                seen.append(words.loss(ids, mask, classes, bag.all_others(ids))[1])
        figures[name] = round(float(np.mean(seen)), 4)
    return figures


def train_bag(recipe, source, texts, curve):
    """Word vectors for the start; curve: the file that a line is added to now and then."""
    settings, size = recipe["bag"], recipe["model"]["vocab_size"]
    counts = np.zeros(size)
    for encoding in source.tokenizer.encode_batch([f" {text}" for text in texts.texts()]):
        np.add.at(counts, encoding.ids, 1)
    rarity = -np.log(counts + 1)
    weights = np.clip((rarity - np.average(rarity, weights=counts + 1)) / 3, -1, 1)
    rarity = torch.from_numpy(np.log(1 + counts.sum() / 15 / (counts + 5))).float()
    words = bag.Bag(size, start.VIEWS * start.VIEW, start.VIEWS, settings["first_weights"] * weights,
                    recipe["seed"])
    optimizer = torch.optim.Adam([{"params": [words.vectors], "scale": 1.0},
                                  {"params": [words.weights], "scale": settings["weights_rate"]},
                                  {"params": [words.sharpness], "scale": 0.3}], betas=(0.9, 0.99))
    results, begin = [], time.monotonic()
    for step in range(settings["steps"]):
        part = max(0.03, 0.5 + 0.5 * math.cos(math.pi * step / settings["steps"]))
        for group in optimizer.param_groups:
            group["lr"] = settings["lr"] * group["scale"] * part * min(1, (step + 1) / 50)
        rng = random.Random(f"{recipe['seed']} bag {step}")
        task = draw_task(settings, texts, rng)
        ids, mask, classes = bag.batch_of(source, task, settings["demonstrations"], rng)
        few = rng.random() < settings["retrieved"]
        allowed = bag.nearest(ids, mask, rarity, 16) if few else bag.all_others(ids)
        loss, accuracy = words.loss(ids, mask, classes, allowed)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        results.append((float(loss.detach()), accuracy))
        if (step + 1) % 1000 == 0:
            loss, accuracy = np.mean(results[-1000:], 0)
            with torch.no_grad():   # as they will be used
                kept = words.weights.clone()
                words.weights *= settings["weights_kept"]
                validation = bag_accuracy(words, source, texts, settings)
                words.weights.copy_(kept)
            line = json.dumps({"bag step": step + 1, "seconds": round(time.monotonic() - begin),
                               "loss": round(loss, 4), "accuracy": round(accuracy, 4),
                               "validation": validation})
            print(line, flush=True)
            with open(curve, "a", encoding="utf-8") as file:
                file.write(line + "\n")
    with torch.no_grad():
        words.weights *= settings["weights_kept"]
    return words


def first_weights(recipe, source, texts, out):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)   # its steps are too small to share
    torch.manual_seed(recipe["seed"])
    saved = out / "words.pt"
    words = bag.Bag(recipe["model"]["vocab_size"], start.VIEWS * start.VIEW, start.VIEWS,
                    np.zeros(recipe["model"]["vocab_size"]), 0)
    if saved.exists():
        words.load_state_dict(torch.load(saved))
    else:
        words = train_bag(recipe, source, texts, out / "bag_curve.jsonl")
        torch.save(words.state_dict(), saved)
    torch.set_num_threads(threads)
    network = llama.Llama(llama.Config(**recipe["model"]))
    rng = random.Random(recipe["seed"])
    sample = source.episodes([texts.task(rng, 30) for _ in range(24)], 256, rng)
    with torch.no_grad():
        start.Start(network, words, source.separator_ids, source.colon_id, source.line_ids,
                    source.format_ids, recipe["seed"]).build(
            sample.ids, sample.positions, llama.causal(sample.ids.shape[1]),
            sample.demonstrations.numpy())
    return network


def draw_task(settings, texts, rng):
    """A task of as many classes as the phase's settings say."""
    low, high = settings["classes"]
    most = round(math.exp(rng.uniform(math.log(low), math.log(high))))
    while True:
        task = texts.task(rng, most)
        if len(task) > 1:
            return task


def make_batch(phase, source, texts, rng):
    """-> (kind, batch): sentences in the phase's share of the steps, episodes in the others."""
    if rng.random() < phase["sentences"]:
        tasks = [draw_task({"classes": [6, 64]}, texts, rng) for _ in range(phase["tasks"])]
        return "sentences", source.sentences(tasks, phase["demonstrations"], rng, phase["longest_gap"])
    length = rng.choice(phase["lengths"])
    tasks = [draw_task(phase, texts, rng) for _ in range(max(1, phase["tokens"] // length))]
    return "episodes", source.episodes(tasks, length, rng, phase["longest_gap"])


LOSSES = {"sentences": objectives.sentence_loss, "episodes": objectives.episode_loss}


class Validation:
    """Tasks of groups that training never sees, always the same ones."""

    def __init__(self, source, texts, recipe):
        self.batches = {}
        for name, groups in texts.validation.items():
            rng = random.Random(7)
            tasks = [texts.from_groups(rng, groups, len(groups), 60) for _ in range(4)]
            self.batches[f"{name} sentences"] = (
                "sentences", [source.sentences([task], 256, rng) for task in tasks])
            rng = random.Random(7)
            self.batches[f"{name} episodes"] = ("episodes", [source.episodes(tasks[:2], 4096, rng)])

    def measure(self, network, device):
        figures = {}
        with torch.no_grad(), torch.autocast(device, torch.bfloat16):
            for name, (kind, batches) in self.batches.items():
                pairs = [LOSSES[kind](network, batch.to(device)) for batch in batches]
                figures[name] = [round(float(np.mean([float(p[i]) for p in pairs])), 4) for i in (0, 1)]
        return figures


class Run:
    def __init__(self, arguments, recipe):
        self.arguments, self.recipe = arguments, recipe
        self.out = arguments.out
        self.out.mkdir(parents=True, exist_ok=True)
        self.texts, self.source = prepare(arguments, recipe)
        self.validation = Validation(self.source, self.texts, recipe)
        self.device = torch.device(arguments.device)
        self.state_path = self.out / "state.pt"
        self.step = self.tokens = 0
        self.seconds = 0.0
        state = torch.load(self.state_path, map_location="cpu") if self.state_path.exists() else None
        if state is None:
            self.network = first_weights(recipe, self.source, self.texts, self.out)
        else:
            self.network = llama.Llama(llama.Config(**recipe["model"]))
            self.network.load_state_dict(state["network"])
        self.network.to(self.device)
        self.optimizer = torch.optim.AdamW(self.parameter_groups(recipe["rates"]), lr=0.0,
                                           betas=(0.9, 0.99), weight_decay=0.0)
        if state is not None:
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.tokens, self.seconds = state["step"], state["tokens"], state["seconds"]

    def parameter_groups(self, rates):
        """Parameters by the recipe's relative learning rates; what has a rate of 0 stays as it is."""
        groups = {name: [] for name in rates}
        top = f"layers.{len(self.network.layers) - 1}."
        for name, parameter in self.network.named_parameters():
            kind = ("embedding" if name.startswith("embed") else "norms" if "norm" in name and
                    (name.startswith(top) or name.startswith("norm")) else
                    "top" if name.startswith(top) else "below")
            parameter.requires_grad_(rates[kind] > 0)
            if rates[kind] > 0:
                groups[kind].append(parameter)
        return [{"params": members, "scale": rates[kind]} for kind, members in groups.items() if members]

    def phase_at(self, step):
        """The phase that a step lies in, and how far into it (0 to 1); None after the last."""
        for phase in self.recipe.get("phases", []):
            if step < phase["steps"]:
                return phase, step / phase["steps"]
            step -= phase["steps"]
        return None, 1.0

    def rate(self, phase, part):
        first, last = phase["lr"]
        rate = last + (first - last) * 0.5 * (1 + math.cos(math.pi * part))
        return rate * min(1.0, (self.step + 1) / self.recipe["warmup"])

    def train(self):
        total = sum(phase["steps"] for phase in self.recipe.get("phases", []))
        if total == 0:
            self.save()
        begin, seen = time.monotonic(), {"sentences": [], "episodes": []}
        while True:
            phase, part = self.phase_at(self.step)
            if phase is None:
                break
            rng = random.Random(f"{self.recipe['seed']} step {self.step}")
            kind, batch = make_batch(phase, self.source, self.texts, rng)
            batch = batch.to(self.device)
            rate = self.rate(phase, part)
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group["scale"]
            with torch.autocast(self.device.type, torch.bfloat16):
                loss, accuracy = LOSSES[kind](self.network, batch)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.optimizer.step()
            seen[kind].append((float(loss.detach()), accuracy))
            self.step += 1
            self.tokens += batch.ids.numel()
            if self.step % 50 == 0 or self.step == total:
                now = time.monotonic()
                self.seconds += now - begin
                begin = now
                entry = {"step": self.step, "of": total, "tokens": self.tokens,
                         "seconds": round(self.seconds), "lr": round(rate, 8), "machine": self.machine(),
                         **{name: np.mean(pairs, 0).round(4).tolist() for name, pairs in seen.items()
                            if pairs}}
                for pairs in seen.values():
                    pairs.clear()
                if self.step % self.arguments.save_every == 0 or self.step == total:
                    entry["validation"] = self.validation.measure(self.network, self.device.type)
                    self.save()
                    begin = time.monotonic()
                line = json.dumps(entry)
                print(line, flush=True)
                with open(self.out / "curve.jsonl", "a", encoding="utf-8") as file:
                    file.write(line + "\n")

    def machine(self):
        if self.device.type == "cuda":
            return f"one {torch.cuda.get_device_name()}"
        return f"{torch.get_num_threads()} CPU cores"

    def save(self):
        """The state to go on from, and the model as it is."""
        part = self.state_path.with_suffix(".part")
        torch.save({"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict(),
                    "step": self.step, "tokens": self.tokens, "seconds": self.seconds}, part)
        part.replace(self.state_path)
        llama.save(self.network, self.out, self.source.special)
        tokenizer = {"tokenizer_class": "PreTrainedTokenizerFast",
                     **{f"{name}_token": text for name, text in prompts.SPECIAL.items()}}
        (self.out / "tokenizer_config.json").write_text(json.dumps(tokenizer, indent=1) + "\n")


def keep_memory():
    """Has glibc keep freed memory: giving large tensors back to the system and getting them again, page
    by page, takes a good part of a step."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        m_trim_threshold, m_mmap_max = -1, -4
        libc.mallopt(m_mmap_max, 0)
        libc.mallopt(m_trim_threshold, 2**31 - 1)


def main():
    arguments = parse_arguments()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    elif arguments.device == "cpu":
        torch.set_num_threads(len(os.sched_getaffinity(0)))
    keep_memory()
    torch.set_flush_denormal(True)   # saturated attention makes many, and they are slow
    recipe = tomllib.loads(arguments.recipe.read_text())
    run = Run(arguments, recipe)
    print(json.dumps({"step": run.step, "parameters": sum(p.numel() for p in run.network.parameters()),
                      "validation": run.validation.measure(run.network, run.device.type)}), flush=True)
    run.train()


if __name__ == "__main__":
    main()
