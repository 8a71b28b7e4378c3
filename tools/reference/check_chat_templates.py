#!/usr/bin/env python3
"""Compares how chat templates are rendered with what transformers renders.

    python3 -m venv venv && venv/bin/pip install jinja2==3.1.6
    cmake --build --preset release --target dbsa-render-chat
    venv/bin/python tools/reference/check_chat_templates.py build/release/bin/dbsa-render-chat TEMPLATE...

transformers renders by jinja2, in the environment that is set up here as in its
utils/chat_template_utils.py (4.57): trim_blocks, lstrip_blocks, loop controls, the generation tag,
tojson and raise_exception; strftime_now is left out on both sides. Templates come from model folders
and GGUF files; many are in the source distribution of PyPI's llama-cpp-python under
vendor/llama.cpp/models/templates. None are kept here.

Each conversation, with and without text of a system, must give the same text or an error on both
sides. Exits with 1 where one does not, or where fewer than --least templates are the same.
"""
import argparse
import json
import pathlib
import subprocess
import sys

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_written"), [], [], body).set_lineno(line)

    def _written(self, caller):
        return caller()


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=[Generation, jinja2.ext.loopcontrols])

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                          sort_keys=sort_keys)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    return env


def conversations():
    found = []
    for system in (None, "You label texts.\nBriefly: \"\u00e9\" {x}"):
        for answered in (0, 1, 3):
            for asks in (False, True):
                messages = [{"role": "system", "content": system}] if system else []
                for i in range(answered):
                    messages += [{"role": "user", "content": f"question {i}?\nWith <lines> 'q' \u2014 \u00fc"},
                                 {"role": "assistant", "content": f"label {i}"}]
                if asks:
                    messages.append({"role": "user", "content": "the query: \u65e5\u672c\u8a9e"})
                if answered or asks:
                    found.append({"messages": messages, "add_generation_prompt": asks,
                                  "bos_token": "<s>", "eos_token": "</s>"})
    return found


def expected_texts(source, asked):
    template = environment().from_string(source)
    texts = []
    for one in asked:
        try:
            texts.append(template.render(tools=None, documents=None, **one))
        except Exception as fault:  # of any kind that templates raise
            texts.append({"error": str(fault)})
    return texts


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("renderer")
    parser.add_argument("templates", nargs="+", type=pathlib.Path)
    parser.add_argument("--least", type=int, default=0)
    options = parser.parse_args()
    asked = conversations()
    same = different = refused = 0
    for path in options.templates:
        run = subprocess.run([options.renderer, str(path)], input=json.dumps(asked), text=True,
                             capture_output=True, check=False)
        if run.returncode != 0:
            refused += 1
            print(f"refused    {run.stderr.strip()}")
            continue
        ours = json.loads(run.stdout)
        with path.open(newline="") as file:
            wanted = expected_texts(file.read(), asked)
        texts = sum(isinstance(text, str) for text in wanted)
        faults = [(a, b) for a, b in zip(ours, wanted)
                  if a != b and not (isinstance(a, dict) and isinstance(b, dict))]
        unknown = [a for a, b in faults if isinstance(a, dict)]
        if not faults:
            same += 1
            print(f"same       {path.name}: {texts} texts, {len(wanted) - texts} errors on both sides")
        elif len(unknown) == len(faults):
            refused += 1
            print(f"refused    {unknown[0]['error']}")
        else:
            different += 1
            ours, wanted = next((a, b) for a, b in faults if not isinstance(a, dict))
            print(f"different  {path.name}\n  ours     {ours!r}\n  expected {wanted!r}")
    print(f"{same} the same, {refused} refused, {different} different")
    sys.exit(1 if different or same < options.least else 0)


if __name__ == "__main__":
    main()
