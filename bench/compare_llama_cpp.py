#!/usr/bin/env python3
"""Times dbsa-pipe and llama.cpp on the same GGUF file and machine, in turns.

Needs the bindings of llama.cpp, which are built from source:

    python3 -m venv venv && venv/bin/pip install llama-cpp-python
    venv/bin/python bench/compare_llama_cpp.py model.gguf --threads 1 --json figures.json

Each round runs bench_model and then llama.cpp, in processes of their own; a figure is the median of the
rounds, a ratio the median of the rounds' ratios, with the smallest and the largest. Random tokens.

    prefill N            N tokens into an empty cache
    decode               one token behind the cached ones
    query, same          a query of N tokens behind cached demonstrations, chosen as before
    query, others        the same where other demonstrations were chosen: dbsa-pipe puts stored blocks
                         together; llama.cpp has a cache of one order of tokens, and reads them again
"""
import argparse
import importlib.metadata
import json
import pathlib
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time

QUERIES = (32, 128)


def stop(message, code=4):
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(code)


# --- llama.cpp, in a separate process ---


class LlamaCpp:
    """A model and a context of one sequence, through the functions of llama.h."""

    def __init__(self, library, path, threads, tokens):
        self.library = library
        self.quiet = library.llama_log_callback(lambda level, text, data: None)
        library.llama_log_set(self.quiet, None)
        library.llama_backend_init()
        parameters = library.llama_model_default_params()
        parameters.n_gpu_layers = 0
        start = time.perf_counter()
        self.model = library.llama_model_load_from_file(str(path).encode(), parameters)
        if not self.model:
            stop(f"{path}: llama.cpp does not load it")
        self.load_seconds = time.perf_counter() - start
        settings = library.llama_context_default_params()
        settings.n_ctx = tokens
        settings.n_batch = 512
        settings.n_ubatch = 512
        settings.n_threads = threads
        settings.n_threads_batch = threads
        self.context = library.llama_init_from_model(self.model, settings)
        if not self.context:
            stop(f"{path}: llama.cpp makes no context of {tokens} tokens")
        self.memory = library.llama_get_memory(self.context)
        vocabulary = library.llama_model_get_vocab(self.model)
        self.vocabulary = library.llama_vocab_n_tokens(vocabulary)
        self.batch = library.llama_batch_init(512, 0, 1)
        self.random = random.Random(1)

    def tokens(self, count):
        return [self.random.randrange(self.vocabulary) for _ in range(count)]

    def keep(self, count):
        """Forgets all tokens behind the first `count`."""
        if not self.library.llama_memory_seq_rm(self.memory, 0, count, -1):
            stop("llama.cpp does not remove tokens from its cache")

    def read(self, tokens, first):
        """Puts tokens behind the first `first`; logits of the last one are computed."""
        for at in range(0, len(tokens), 512):
            part = tokens[at:at + 512]
            self.batch.n_tokens = len(part)
            for i, token in enumerate(part):
                self.batch.token[i] = token
                self.batch.pos[i] = first + at + i
                self.batch.n_seq_id[i] = 1
                self.batch.seq_id[i][0] = 0
                self.batch.logits[i] = at + i + 1 == len(tokens)
            code = self.library.llama_decode(self.context, self.batch)
            if code != 0:
                stop(f"llama.cpp does not decode: code {code}")
        self.library.llama_get_logits(self.context)  # waits

    def seconds(self, tokens, first, least):
        """Median of passes behind the first `first` tokens, which lie in the cache."""
        times, begin = [], time.perf_counter()
        while len(times) < 4 or time.perf_counter() - begin < least:
            self.keep(first)
            start = time.perf_counter()
            self.read(tokens, first)
            times.append(time.perf_counter() - start)
        return statistics.median(times[1:])


def measure_llama_cpp(arguments):
    try:
        import llama_cpp
    except ImportError as error:
        stop(f"llama.cpp is not here ({error}); pip install llama-cpp-python")
    cached = arguments.cached_tokens
    model = LlamaCpp(llama_cpp, arguments.model, arguments.threads, max(512, cached) + max(QUERIES))
    figures = {"load": model.load_seconds}
    least = arguments.seconds
    for count in (512, cached):
        figures[f"prefill {count}"] = model.seconds(model.tokens(count), 0, least)
    model.keep(0)
    model.read(model.tokens(cached), 0)
    for name, count in (("decode", 1), *((f"query {n}, same", n) for n in QUERIES)):
        figures[name] = model.seconds(model.tokens(count), cached, least)
    for count in QUERIES:
        figures[f"query {count}, others"] = model.seconds(model.tokens(cached + count), 0, least)
    return {"figures": figures,
            "version": importlib.metadata.version("llama-cpp-python"),
            "system": llama_cpp.llama_print_system_info().decode().strip()}


# --- dbsa-pipe ---


def measure_dbsa_pipe(arguments):
    cached = arguments.cached_tokens
    with tempfile.TemporaryDirectory() as folder:
        record = pathlib.Path(folder) / "figures.json"
        command = [str(arguments.bench_model), "--model", str(arguments.model),
                   "--threads", str(arguments.threads), "--seconds", str(arguments.seconds),
                   "--cached_tokens", str(cached), "--dtype", arguments.dtype,
                   "--packed", str(arguments.packed), "--json", str(record)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not record.exists():
            stop(f"{' '.join(command)}: {done.stderr.strip() or 'it wrote no figures'}")
        document = json.loads(record.read_text())
    rows = {(row["name"], row["unit"]): row["value"] for row in document["rows"]}
    figures = {"load": rows["load the weights", "s"]}
    for count in (512, cached):
        figures[f"prefill {count}"] = count / rows[f"prefill {count} tokens", "tokens/s"]
    behind = f"on {cached} cached tokens"
    figures["decode"] = rows[f"decode a token {behind}", "ms"] / 1e3
    for count in QUERIES:
        query = rows[f"{count}-token query {behind}", "ms"] / 1e3
        # Other blocks cost no more: their keys are rotated as they are read.
        figures[f"query {count}, same"] = figures[f"query {count}, others"] = query
    return {"figures": figures, "notes": document.get("notes", {}), "machine": document["machine"]}


# --- both ---


def compare(arguments):
    own, other = [], []
    for number in range(arguments.rounds):
        print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr, flush=True)
        own.append(measure_dbsa_pipe(arguments))
        command = [sys.executable, __file__, "--only-llama-cpp", str(arguments.model),
                   "--threads", str(arguments.threads), "--seconds", str(arguments.seconds),
                   "--cached-tokens", str(arguments.cached_tokens)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(done.returncode)
        other.append(json.loads(done.stdout))
    rows = []
    for name in own[0]["figures"]:
        ours = [run["figures"][name] for run in own]
        theirs = [run["figures"][name] for run in other]
        ratios = [b / a for a, b in zip(ours, theirs)]
        rows.append({"name": name, "dbsa_pipe_ms": statistics.median(ours) * 1e3,
                     "llama_cpp_ms": statistics.median(theirs) * 1e3,
                     "ratio": statistics.median(ratios),
                     "ratio_least": min(ratios), "ratio_most": max(ratios)})
    return {"model": str(arguments.model), "bytes": arguments.model.stat().st_size,
            "threads": arguments.threads, "cached_tokens": arguments.cached_tokens,
            "rounds": arguments.rounds, "dtype": arguments.dtype,
            "machine": own[0]["machine"], "platform": platform.platform(),
            "dbsa_pipe": own[0]["notes"],
            "llama_cpp": {"llama_cpp_python": other[0]["version"], "system": other[0]["system"]},
            "rows": rows}


def print_table(result):
    print(f"{result['machine']['cpu']}, {result['threads']} threads, "
          f"{result['cached_tokens']} cached tokens")
    print(f"{'':20} {'dbsa-pipe':>12} {'llama.cpp':>12} {'ratio':>8}  of {result['rounds']} rounds")
    for row in result["rows"]:
        print(f"{row['name']:20} {row['dbsa_pipe_ms']:9.2f} ms {row['llama_cpp_ms']:9.2f} ms "
              f"{row['ratio']:7.2f}x  {row['ratio_least']:.2f} to {row['ratio_most']:.2f}")


def main():
    repository = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path, help="a GGUF file that both read")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each figure, about")
    parser.add_argument("--cached-tokens", type=int, default=4096)
    parser.add_argument("--dtype", default="auto", choices=("auto", "f32", "bf16"),
                        help="model.dtype of dbsa-pipe")
    parser.add_argument("--bench-model", type=pathlib.Path,
                        default=repository / "build/release/bench/bench_model")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file, too")
    parser.add_argument("--only-llama-cpp", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.model.is_file():
        stop(f"{arguments.model}: no such file")
    if arguments.only_llama_cpp:
        print(json.dumps(measure_llama_cpp(arguments)))
        return
    if not arguments.bench_model.is_file():
        stop(f"{arguments.bench_model} is missing; build it: cmake --build --preset release")
    with tempfile.TemporaryDirectory() as packed:
        arguments.packed = packed
        result = compare(arguments)
    print_table(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
