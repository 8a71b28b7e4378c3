#!/usr/bin/env python3
"""Writes those parts of the documentation that repeat what stands elsewhere.

Tables of plugins come from `dbsa-pipe inspect --json` over the manifests of this tree, of those
plugins too that this machine cannot build; tables of the framework's keys and of the documents of
--json come from schemas/; the example plugin comes from its own folder. Each part stands between two
marks in its page.

    tools/docs/update_docs.py             # writes
    tools/docs/update_docs.py --check     # exits 1 if a page is out of date
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
END = "<!-- end -->"
KINDS = ["block_grouper", "mask_pattern", "retriever", "kv_store", "attention_backend"]


def cell(text):
    return str(text).replace("|", "\\|").replace("\n", " ")


def value(item):
    return json.dumps(item, ensure_ascii=False)


def limits(key):
    """The values a key may take, as text."""
    if "enum" in key:
        return ", ".join(f"`{value(choice)}`" for choice in key["enum"])
    bounds = [(">=", "minimum"), (">", "exclusiveMinimum"), ("<=", "maximum"),
              ("<", "exclusiveMaximum")]
    return ", ".join(f"{sign} {value(key[name])}" for sign, name in bounds if name in key)


def overview(plugins):
    lines = ["| kind | plugin | what it does |", "|---|---|---|"]
    for plugin in plugins:
        kind = plugin["kind"]
        name = plugin["id"].rsplit(".", 1)[1]
        lines.append(f"| [{kind}](plugins/{kind}/README.md) | `{name}` | {cell(plugin['summary'])} |")
    return "\n".join(lines)


def key_table(schema, without_default="required"):
    """Rows of the keys of a table; without_default: what stands where a key has none."""
    lines = ["| key | default | values | meaning |", "|---|---|---|---|"]
    for name, key in schema["properties"].items():
        missing = "required" if name in schema.get("required", []) else without_default
        default = f"`{cell(value(key['default']))}`" if "default" in key else missing
        unit = f" ({key['unit']})" if "unit" in key else ""
        allowed = limits(key) or key.get("format", key["type"])
        meaning = key["description"]
        if key.get("affects") == "speed":
            meaning += "; does not affect results"
        lines.append(f"| `{name}` | {default} | {cell(allowed)} | {cell(meaning)}{unit} |")
    return lines


def section(plugin):
    name = plugin["id"].rsplit(".", 1)[1]
    lines = [f"## {name}", "", f"{plugin['summary']}.", "", plugin["description"].strip(), ""]
    if plugin["config"].get("properties"):
        lines += key_table(plugin["config"])
    else:
        lines.append("No keys.")
    return "\n".join(lines)


def read_schema(name):
    return json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))


def all_keys(plugins):
    """Every table of a pipeline file: the framework's keys, then those of each plugin."""
    lines = []
    for table, schema in read_schema("pipeline")["properties"].items():
        lines += [f"## {table}", "", *key_table(schema, without_default="none"), ""]
        for plugin in plugins:
            if plugin["kind"] != table:
                continue
            name = plugin["id"].rsplit(".", 1)[1]
            lines += [f"### {table}: {name}", "", f"{plugin['summary']}.", ""]
            if plugin["config"].get("properties"):
                lines += [*key_table(plugin["config"]), ""]
    return "\n".join(lines).strip()


def documents():
    """The schemas of what --json prints: those that name themselves in the document."""
    lines = ["| schema | version | |", "|---|---|---|"]
    for path in sorted((ROOT / "schemas").glob("*.schema.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        if "schema" not in schema["properties"]:
            continue
        name = path.name.removesuffix(".schema.json")
        version = schema["properties"]["schema_version"]
        number = version.get("const", version.get("enum", [None])[-1])
        lines.append(f"| [{name}](../schemas/{path.name}) | {number} | {cell(schema['description'])} |")
    return "\n".join(lines)


def example_file(name, language):
    """A file of the plugin that the documentation shows whole."""
    text = (ROOT / "plugins" / "mask_pattern" / "self" / name).read_text(encoding="utf-8")
    return f"```{language}\n{text.strip()}\n```"


def replace_part(path, part, body, check):
    """Writes body between the part's marks. Returns whether the page was, or would be, changed."""
    begin = f"<!-- begin {part}: made by tools/docs/update_docs.py -->"
    text = path.read_text(encoding="utf-8")
    head, found_begin, rest = text.partition(begin)
    _, found_end, tail = rest.partition(END)
    if not found_begin or not found_end:
        sys.exit(f"{path}: expected the marks {begin} and {END}")
    new = f"{head}{begin}\n\n{body}\n\n{END}{tail}"
    if new != text and check:
        print(f"{path}: {part} is out of date: run tools/docs/update_docs.py", file=sys.stderr)
    elif new != text:
        path.write_text(new, encoding="utf-8")
    return new != text


def inspect(program, *options):
    return json.loads(subprocess.run([program, "inspect", "--json", *options], check=True,
                                     stdout=subprocess.PIPE).stdout)["plugins"]


def read_plugins(program):
    """Those that were built, and those of the tree that were not."""
    built = {plugin["id"] for plugin in inspect(program)}
    with tempfile.TemporaryDirectory() as folder:
        for manifest in ROOT.glob("plugins/*/*/plugin.toml"):
            kind, name = manifest.parts[-3:-1]
            if f"dbsa.{kind}.{name}" not in built:
                shutil.copy(manifest, pathlib.Path(folder) / f"dbsa_{kind}_{name}.plugin.toml")
        plugins = inspect(program, "--plugin-path", folder)
    return sorted(plugins, key=lambda p: (KINDS.index(p["kind"]), p["id"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=pathlib.Path,
                        default=ROOT / "build" / "release" / "bin" / "dbsa-pipe")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if pages differ")
    arguments = parser.parse_args()
    plugins = read_plugins(arguments.program)
    abi_page = ROOT / "framework" / "abi" / "README.md"
    parts = [
        (ROOT / "README.md", "plugins", overview(plugins)),
        (ROOT / "README.md", "example", example_file("self.cc", "cpp")),
        (abi_page, "source", example_file("self.cc", "cpp")),
        (abi_page, "manifest", example_file("plugin.toml", "toml")),
        (abi_page, "build", example_file("CMakeLists.txt", "cmake")),
        (ROOT / "docs" / "keys.md", "keys", all_keys(plugins)),
        (ROOT / "docs" / "json.md", "documents", documents()),
    ]
    for kind in KINDS:
        body = "\n\n".join(section(plugin) for plugin in plugins if plugin["kind"] == kind)
        parts.append((ROOT / "plugins" / kind / "README.md", "plugins", body))
    differ = [replace_part(*part, arguments.check) for part in parts]
    return 1 if arguments.check and any(differ) else 0


if __name__ == "__main__":
    sys.exit(main())
