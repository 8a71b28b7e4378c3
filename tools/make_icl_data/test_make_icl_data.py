"""Tests of the data maker: python3 test_make_icl_data.py"""

import collections
import contextlib
import io
import json
import pathlib
import tempfile
import tomllib
import unittest

import make_icl_data
from grammar import HERE, MAX_WORDS, MIN_WORDS, Grammar, load_domains



def texts(rows):
    return [row["text"] for row in rows]


def keys(rows):
    return [make_icl_data.key(text) for text in texts(rows)]


def run(*words):
    """Exit code and what was printed, outputs and errors."""
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = make_icl_data.main([str(word) for word in words])
    return code, out.getvalue(), errors.getvalue()


class QuickStart(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.files = make_icl_data.make_quickstart()
        cls.demonstrations = cls.files["demonstrations.jsonl"]
        cls.queries = cls.files["queries.jsonl"]
        cls.generation = cls.files["generation_demonstrations.jsonl"]
        cls.generation_queries = cls.files["generation_queries.jsonl"]

    def test_every_draw_is_the_same(self):
        self.assertEqual(self.files, make_icl_data.make_quickstart())

    def test_the_files_in_the_repository_are_these(self):
        self.assertEqual(run("quickstart", "--check"), (0, "", ""))

    def test_check_names_each_file_that_differs(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(run("quickstart", "--out", folder)[0], 0)
            self.assertEqual(run("quickstart", "--check", "--out", folder), (0, "", ""))
            changed = pathlib.Path(folder, "queries.jsonl")
            gone = pathlib.Path(folder, "demonstrations.jsonl")
            changed.write_text(changed.read_text().replace("a", "e", 1))
            gone.unlink()
            what = ": is not what make_icl_data.py makes; run `make_icl_data.py quickstart`\n"
            self.assertEqual(run("quickstart", "--check", "--out", folder),
                             (1, "", f"{gone}{what}{changed}{what}"))
            self.assertFalse(gone.exists())

    def test_sizes(self):
        self.assertEqual({name: len(rows) for name, rows in self.files.items()},
                         {"demonstrations.jsonl": 1536, "queries.jsonl": 250,
                          "generation_demonstrations.jsonl": 400, "generation_queries.jsonl": 100})

    def test_labels_are_balanced(self):
        demonstrations = collections.Counter(row["label"] for row in self.demonstrations)
        queries = collections.Counter(row["label"] for row in self.queries)
        self.assertEqual(len(demonstrations), 24)
        self.assertEqual(set(demonstrations.values()), {64})
        self.assertEqual(set(queries), set(demonstrations))
        self.assertEqual(set(queries.values()), {10, 11})

    def test_labels_are_shuffled(self):
        first = [row["label"] for row in self.demonstrations[:240]]
        self.assertEqual(len(set(first)), 24)
        self.assertNotEqual(first, sorted(first))

    def test_word_counts(self):
        for name, rows in self.files.items():
            for text in texts(rows):
                self.assertIn(len(text.split()), range(MIN_WORDS, MAX_WORDS + 1), f"{name}: {text}")

    def test_no_sentence_stands_twice(self):
        for demonstrations, queries in ((self.demonstrations, self.queries),
                                        (self.generation, self.generation_queries)):
            counts = collections.Counter(keys(demonstrations) + keys(queries))
            self.assertEqual([text for text, count in counts.items() if count > 1], [])

    def test_entries_are_short_and_copied_in_order(self):
        for row in self.generation + self.generation_queries:
            self.assertIn(len(row["label"].split()), range(1, 7))
            said = make_icl_data.key(row["text"]).split()
            for word in row["label"].split():
                self.assertIn(word, said, row)

    def test_entries_of_queries_are_new(self):
        old = {row["label"] for row in self.generation}
        self.assertEqual([row for row in self.generation_queries if row["label"] in old], [])

    def test_nothing_else_in_a_message_could_be_the_entry(self):
        with open(HERE / "quickstart" / "appointments.toml", "rb") as file:
            source = tomllib.load(file)
        for field in source["fields"]:
            words = {word for value in source["slots"][field] for word in value.split()} - {"half", "past"}
            for row in self.generation + self.generation_queries:
                found = [word for word in make_icl_data.key(row["text"]).split() if word in words]
                self.assertLessEqual(len(found), 1, f"{field}: {row}")


class TrainingText(unittest.TestCase):
    def test_no_domain_of_the_quick_start_is_in_it(self):
        held_out = load_domains(HERE / "quickstart")
        self.assertEqual(len(held_out), 3)
        trained = load_domains(HERE / "domains")
        self.assertEqual({g.domain for g in held_out} & {g.domain for g in trained}, set())
        for grammar in trained:
            for other in held_out:
                self.assertNotEqual(set(grammar.labels), set(other.labels), grammar.path)

    def test_no_sentence_of_the_quick_start_is_in_it(self):
        held_out = {key for rows in make_icl_data.make_quickstart().values() for key in keys(rows)}
        trained = make_icl_data.make_train(load_domains(HERE / "domains"), 50, 1)
        self.assertEqual(held_out & set(keys(trained)), set())

    def test_a_file_of_it(self):
        with tempfile.TemporaryDirectory() as folder:
            code, _, errors = run("train", "--out", folder, "--per-intent", 20)
            self.assertEqual((code, errors), (0, ""))
            with open(pathlib.Path(folder, "train.jsonl"), encoding="utf-8") as file:
                rows = [json.loads(line) for line in file]
        counts = collections.Counter((row["domain"], row["label"]) for row in rows)
        expected = {(g.domain, label) for g in load_domains(HERE / "domains") for label in g.labels}
        self.assertEqual(set(counts), expected)
        self.assertEqual(set(counts.values()), {20})
        self.assertEqual(len(set(keys(rows))), len(rows))
        for row in rows:
            self.assertEqual(list(row), ["text", "label", "domain"])
            self.assertIn(len(row["text"].split()), range(MIN_WORDS, MAX_WORDS + 1), row)

    def test_the_seed_matters_and_is_all_that_does(self):
        grammars = [Grammar(HERE / "quickstart" / "library_desk.toml")]
        one = make_icl_data.make_train(grammars, 20, 1)
        self.assertEqual(one, make_icl_data.make_train(grammars, 20, 1))
        self.assertNotEqual(one, make_icl_data.make_train(grammars, 20, 2))


class Mistakes(unittest.TestCase):
    """What a writer of grammars gets to read."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name, "shop.toml")

    def refused(self, text):
        self.path.write_text(text, encoding="utf-8")
        with self.assertRaises(ValueError) as caught:
            Grammar(self.path)
        message = str(caught.exception)
        self.assertTrue(message.startswith(f"{self.path}: "), message)
        return message[len(f"{self.path}: "):]

    def shop(self, phrase, slots="", more=""):
        return (f'domain = "shop"\n[slots]\n{slots}\n'
                f'[[intents]]\nlabel = "ask"\nphrases = ["{phrase}"]\n{more}')

    def test_unknown_slot_of_a_phrase(self):
        self.assertEqual(self.refused(self.shop("where is the {shelf}?")),
                         "intent 'ask': there is no slot 'shelf'; add it to [slots], or write choices "
                         "as {a|b}")

    def test_unknown_slot_of_a_slot(self):
        self.assertEqual(self.refused(self.shop("where?", 'shelf = ["{old|new} {board}"]')),
                         "slot 'shelf': there is no slot 'board'; add it to [slots], or write choices "
                         "as {a|b}")

    def test_unknown_slot_of_the_context(self):
        self.assertEqual(self.refused('context = ["I like {fruit}."]\n' + self.shop("where?")),
                         "context: there is no slot 'fruit'; add it to [slots], or write choices as "
                         "{a|b}")

    def test_a_slot_that_names_itself(self):
        self.assertEqual(self.refused(self.shop("where?", 'shelf = ["top", "{shelf}"]')),
                         "a slot leads back to itself: shelf -> shelf; write one of them without the "
                         "other")

    def test_slots_that_name_each_other(self):
        slots = 'board = ["{shelf}"]\nshelf = ["{old|{plank}}"]\nplank = ["thin {board}"]'
        self.assertEqual(self.refused(self.shop("where?", slots)),
                         "a slot leads back to itself: board -> shelf -> plank -> board; write one of "
                         "them without the other")

    def test_a_label_twice(self):
        again = '[[intents]]\nlabel = "ask"\nphrases = ["how?"]\n'
        self.assertEqual(self.refused(self.shop("where?", more=again)),
                         "label 'ask' stands twice; give each intent a label of its own")

    def test_a_brace_alone(self):
        self.assertEqual(self.refused(self.shop("where is {the shelf?")),
                         "intent 'ask': a brace has no partner: 'where is {the shelf?'")

    def test_no_domain(self):
        self.assertEqual(self.refused('[[intents]]\nlabel = "ask"\nphrases = ["how?"]\n'),
                         "there is no 'domain'; see grammar.py for the layout")

    def test_no_toml(self):
        self.assertEqual(self.refused("domain = shop\n"), "Invalid value (at line 1, column 10)")

    def test_too_few_different_sentences(self):
        self.path.write_text(self.shop("where is the {old|new} shelf?"), encoding="utf-8")
        with self.assertRaises(ValueError) as caught:
            shared = {"slots": {}, "openings": ["Hi,"], "closings": ["Bye"]}
            make_icl_data.make_train([Grammar(self.path, shared)], 100, 1)
        self.assertEqual(str(caught.exception),
                         f"{self.path}: intent 'ask': found 8 different sentences, wanted 100; ask for "
                         "fewer or write more phrases")


class Sentences(unittest.TestCase):
    def test_choices_and_slots_nest(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "shop.toml")
            path.write_text('domain = "shop"\n[slots]\nshelf = ["{low|high} shelf"]\n[[intents]]\n'
                            'label = "ask"\nphrases = ["is it on {the {shelf}|a table|} ?"]\n')
            grammar = Grammar(path, {"slots": {}, "openings": [], "closings": []})
        rng = make_icl_data.random.Random(1)
        self.assertEqual({grammar.core("ask", rng) for _ in range(200)},
                         {"is it on the low shelf?", "is it on the high shelf?", "is it on a table?",
                          "is it on?"})

    def test_key_ignores_capitals_and_marks(self):
        self.assertEqual(make_icl_data.key("Hi,  where is it?"), make_icl_data.key("hi where is IT"))
        self.assertNotEqual(make_icl_data.key("where is it"), make_icl_data.key("where is he"))


if __name__ == "__main__":
    unittest.main()
