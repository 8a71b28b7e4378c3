#!/usr/bin/env python3
"""Checks that the framework and the command line know no plugin's keys or ids by name.

What they must know of a plugin, its manifest says (`role`, `format`), or a function of its interface.
Looked at are the strings of framework/ and tools/dbsa-pipe except those with white space, which are
messages, help and examples. Prints each place that names a plugin of plugins/ or a key that only plugins
have, and exits with 1 if there is one that ALLOWED does not have.
"""
import json
import pathlib
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDERS = ["framework", "tools/dbsa-pipe"]
# Keys whose names are words for other things, too: looked for only with their table, as "kv_store.path".
COMMON = {"b", "first", "index", "order", "path", "second", "seed"}
# (file, string): why it is no plugin's.
ALLOWED = {
    ("framework/config/schema_check.cc", "memory"): "a word of an error of the standard library",
    ("framework/host/describe.cc", "cuda"): "needs.cuda of a manifest",
    ("framework/host/host_services.cc", "dbsa"): "the program's name",
    ("framework/host/manifest.cc", "cuda"): "needs.cuda of a manifest",
    ("framework/host/mask_pattern.cc", "anchor_blocks"): "a function of the interface",
    ("framework/pipeline/record/record.cc", "cpu"): "the machine's, in a record",
    ("framework/report/identity.cc", "kv_store.path"): "of records that were written before they said outside_group",
    ("tools/dbsa-pipe/commands/store.cc", "max_bytes"): "a field of `store list --json`",
    ("tools/dbsa-pipe/commands/store_export.cc", "all"): "an option",
}
# A comment, or a string; the marks of one mean nothing in the other.
STRING = re.compile(r'//[^\n]*|/\*.*?\*/|R"([^()\\ ]*)\((?P<raw>.*?)\)\1"|"(?P<text>(?:\\.|[^"\\\n])*)"', re.DOTALL)


def tables():
    """Each table of a pipeline that takes a plugin -> the framework's own keys in it."""
    schema = json.loads((ROOT / "schemas/pipeline.schema.json").read_text())["properties"]
    return {table: set(value["properties"]) for table, value in schema.items() if "plugin" in value["properties"]}


def plugins():
    """The ids of all plugins, their short names, and the names of their keys."""
    ids, keys = set(), set()
    for path in sorted((ROOT / "plugins").glob("*/*/plugin.toml")):
        manifest = tomllib.loads(path.read_text())
        ids.add(manifest["id"])
        keys.update(manifest.get("config", {}))
    return ids, {plugin.rsplit(".", 1)[1] for plugin in ids}, keys


class Names:
    def __init__(self):
        self.tables = tables()
        self.ids, self.short_names, self.keys = plugins()
        kinds = "|".join(self.tables)
        self.dotted = re.compile(rf"/?({kinds})[./](\w+)")
        # json.at("kv_store").value("path", "")
        self.chained = re.compile(rf'"({kinds})"\)?(?:\.|->)(?:at|value|contains|find|erase)\("(\w+)"')

    def is_private(self, table, key):
        return key in self.keys and key not in self.tables[table]

    def fault(self, text):
        """What a string names of a plugin, or None."""
        if re.search(r"\s|\\n", text):
            return None
        if text in self.short_names or any(plugin in text for plugin in self.ids):
            return "a plugin"
        dotted = self.dotted.fullmatch(text)
        if text in self.keys - COMMON or (dotted and self.is_private(*dotted.groups())):
            return "a plugin's own key"
        return None

    def places(self, source):
        """(offset, string, what it names) of a source text."""
        for match in STRING.finditer(source):
            text = match["raw"] if match["raw"] is not None else match["text"]
            if text is not None and (fault := self.fault(text)):
                yield match.start(), text, fault
        for match in self.chained.finditer(source):
            if self.is_private(*match.groups()):
                yield match.start(), ".".join(match.groups()), "a plugin's own key"


def main():
    names, faults, used, files = Names(), [], set(), 0
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix not in (".cc", ".h"):
                continue
            files += 1
            path, source = file.relative_to(ROOT).as_posix(), file.read_text()
            for at, text, fault in names.places(source):
                used.add((path, text))
                if (path, text) not in ALLOWED:
                    line = source.count("\n", 0, at) + 1
                    faults.append(f'{path}:{line}: error: "{text}" names {fault}; ask its manifest (role, format) '
                                  "or a function of the interface")
    faults += [f'tools/check_plugin_names.py: error: {path} has no "{text}" any more; take it out of ALLOWED'
               for path, text in sorted(ALLOWED.keys() - used)]
    print("\n".join(faults + [f"{files} files, {len(names.ids)} plugins, {len(faults)} faults"]))
    sys.exit(1 if faults or not names.ids or not files else 0)


if __name__ == "__main__":
    main()
