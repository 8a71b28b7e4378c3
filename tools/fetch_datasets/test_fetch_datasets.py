"""Tests of the fetcher: python3 test_fetch_datasets.py. They need no network."""

import contextlib
import dataclasses
import hashlib
import http.server
import io
import json
import os
import pathlib
import socket
import tempfile
import threading
import unittest

import catalog
import download
import fetch_datasets
import formats

BY_NAME = {dataset.name: dataset for dataset in catalog.DATASETS}
BANKING_TRAIN = b'text,category\r\n"Where, please, is\nmy card?",card_arrival\r\nI need cash ,Top_up?\r\n'
BANKING_TEST = b'text,category\r\n"A ""new"" card",card_arrival\r\n'
CLINC = {"train": [["how long", "cook_time"]], "oos_train": [["what now", "oos"]],
         "test": [["how hot", "cook_time"], ["play", "play_music"]], "oos_test": [["eh", "oos"]],
         "val": [["left out", "w2"]], "oos_val": [["left out", "oos"]]}
NLU_HEADER = ";".join(formats.NLU_COLUMNS) + "\n"
NLU = NLU_HEADER + (
    '1;1;alarm;set;"";wake me [time : five am] [date : this week];;;"a; b";c;d\n'
    "1;2;email;addcontact;;add [person : bob] to [relation :: friends];;;;;\n"
    "1;3;iot;hue_lighton;;null;;;;;\n"
    "1;4;iot;hue_lighton;;light [in the hall;;;;;\n")
TREC = b"DESC:manner How did it end ?\nHUM:gr Which sister\xf0city ?\n\nNUM:volsize How big is caf\xe9 ?  \n"
E2E_TRAIN = 'mr,ref\n"name[A], area[b]"," A is in b. "\n'
E2E_TEST = 'mr,ref\nname[A],One.\nname[B],"Two, at B."\nname[A],Uno.\n'


def run(*words, datasets=catalog.DATASETS):
    """Exit code and what was printed, outputs and errors."""
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = fetch_datasets.main([str(word) for word in words], datasets)
    return code, out.getvalue(), errors.getvalue()


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def small(name, train, test, labels, **changes):
    """A data set with the counts of a small file and no hashes."""
    sources = tuple(dataclasses.replace(source, sha256="") for source in BY_NAME[name].sources)
    return dataclasses.replace(BY_NAME[name], train=train, test=test, labels=labels,
                               **{"sources": sources, **changes})


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.given, self.out = self.folder / "given", self.folder / "out"
        self.given.mkdir()

    def give(self, **files):
        for name, content in files.items():
            name = name.replace("__", ".")
            (self.given / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    def convert(self, dataset):
        code, _, errors = run("--from", self.given, "--out", self.out, "--only", dataset.name,
                              datasets=(dataset,))
        self.assertEqual((code, errors), (0, ""))
        folder = self.out / dataset.name
        self.assertEqual(sorted(path.name for path in folder.iterdir()),
                         ["README.md", "test.jsonl", "test_indices.json", "train.jsonl"])
        self.assertEqual(os.listdir(self.out), [dataset.name])
        return read(folder / "train.jsonl"), read(folder / "test.jsonl")

    def refused(self, dataset, code=2):
        result = run("--from", self.given, "--out", self.out, datasets=(dataset,))
        self.assertEqual(result[0], code)
        self.assertEqual(os.listdir(self.out) if self.out.exists() else [], [])
        return result[2].removeprefix("fetch_datasets: ").rstrip("\n")


class Conversion(Folder):
    def test_banking77(self):
        self.give(train__csv=BANKING_TRAIN, test__csv=BANKING_TEST)
        train, test = self.convert(small("banking77", 2, 1, 2))
        self.assertEqual(train, [{"text": "Where, please, is\nmy card?", "label": "card arrival"},
                                 {"text": "I need cash ", "label": "Top up?"}])
        self.assertEqual(test, [{"text": 'A "new" card', "label": "card arrival"}])

    def test_clinc150_has_the_texts_out_of_scope_and_no_validation(self):
        self.give(data_oos_plus__json=json.dumps(CLINC))
        train, test = self.convert(small("clinc150", 2, 3, 3))
        self.assertEqual(train, [{"text": "how long", "label": "cook time"},
                                 {"text": "what now", "label": "oos"}])
        self.assertEqual([row["label"] for row in test], ["cook time", "play music", "oos"])

    def give_lines(self, folder, **files):
        for name, content in files.items():
            path = self.given / folder / name.replace("_", "/").replace("seq", "seq.in")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")

    def test_hwu64_has_the_words_of_nlu(self):
        self.give_lines("HWU64", train_seq="dim it\nthat's all, stop.\n",
                        train_label="iot_hue_lightdim\ngeneral_commandstop\n",
                        test_seq="light on\n", test_label="iot_hue_lighton\n")
        train, test = self.convert(small("hwu64", 2, 1, 3))
        self.assertEqual(train, [{"text": "dim it", "label": "iot hue light dim"},
                                 {"text": "that's all, stop.", "label": "general command stop"}])
        self.assertEqual(test, [{"text": "light on", "label": "iot hue lighton"}])

    def test_snips_takes_labels_apart(self):
        self.give_lines("SNIPS", train_seq="play clásicos\n", train_label="AddToPlaylist\n",
                        test_seq="rate it\n", test_label="RateBook\n")
        train, test = self.convert(small("snips", 1, 1, 2))
        self.assertEqual(train, [{"text": "play clásicos", "label": "add to playlist"}])
        self.assertEqual(test, [{"text": "rate it", "label": "rate book"}])

    def test_texts_without_their_labels_are_refused(self):
        self.give_lines("SNIPS", train_seq="a\nb\n", train_label="RateBook\n", test_seq="c\n",
                        test_label="RateBook\n")
        self.assertEqual(self.refused(small("snips", 2, 1, 1)),
                         "SNIPS/train/label: expected 2 lines, as SNIPS/train/seq.in has, found 1; get "
                         "both files again")

    def test_nlu_loses_marks_and_rows_without_an_answer(self):
        (self.given / "NLU-Data-Home-Domain-Annotated-All.csv").write_text(NLU)
        train, test = self.convert(
            small("nlu", 2, 1, 3, convert=lambda data: catalog.convert_nlu(data, 1)))
        rows = {row["text"]: row["label"] for row in train + test}
        self.assertEqual(rows, {"wake me five am this week": "alarm set",
                                "add bob to friends": "email add contact",
                                "light [in the hall": "iot hue lighton"})
        self.assertEqual((len(train), len(test)), (2, 1))

    def test_trec_and_trecfine_share_files(self):
        self.give(train_5500__label=TREC, TREC_10__label=b"LOC:other Where ?\n")
        train, test = self.convert(small("trec", 3, 1, 4))
        self.assertEqual(train, [{"text": "How did it end ?", "label": "description"},
                                 {"text": "Which sister city ?", "label": "human"},
                                 {"text": "How big is caf\u00e9 ?", "label": "numeric"}])
        self.assertEqual(test, [{"text": "Where ?", "label": "location"}])
        fine, _ = catalog.convert_trec(catalog.fine_label)(
            {"train_5500.label": TREC, "TREC_10.label": b""})
        self.assertEqual([row["label"] for row in fine],
                         ["description manner", "human group", "numeric size"])

    def test_e2e_nlg_gathers_references(self):
        self.give(trainset__csv=E2E_TRAIN, testset_w_refs__csv=E2E_TEST)
        train, test = self.convert(small("e2e_nlg", 1, 2, 0))
        self.assertEqual(train, [{"text": "name[A], area[b]", "label": "A is in b."}])
        self.assertEqual(test, [{"text": "name[A]", "label": ["One.", "Uno."]},
                                {"text": "name[B]", "label": ["Two, at B."]}])

    def test_the_readme_names_source_hash_and_counts(self):
        self.give(train__csv=BANKING_TRAIN, test__csv=BANKING_TEST)
        self.convert(small("banking77", 2, 1, 2))
        text = (self.out / "banking77" / "README.md").read_text()
        for part in ("2 training rows, 1 test rows, 2 labels", "CC BY 4.0", catalog.BANKING + "test.csv",
                     hashlib.sha256(BANKING_TRAIN).hexdigest(), 'input_prefix = "query: "'):
            self.assertIn(part, text)

    def test_indices_are_the_same_everywhere(self):
        self.assertEqual(fetch_datasets.draw_indices(8, 5, 1), [1, 6, 0, 4, 5])
        drawn = fetch_datasets.draw_indices(3080, 250, 1)
        self.assertEqual(len(set(drawn)), 250)
        self.assertEqual(drawn, fetch_datasets.draw_indices(3080, 250, 1))
        self.assertEqual(sorted(fetch_datasets.draw_indices(3, 250, 1)), [0, 1, 2])

    def test_the_nlu_split_keeps_the_order(self):
        train, test = catalog.split(list(range(100)), 25, 1)
        self.assertEqual((len(train), len(test)), (75, 25))
        self.assertEqual(sorted(train + test), list(range(100)))
        self.assertEqual((train, test), (sorted(train), sorted(test)))
        self.assertNotEqual(test, catalog.split(list(range(100)), 25, 2)[1])


class Damage(Folder):
    def banking(self, train):
        self.give(train__csv=train, test__csv=BANKING_TEST)
        return self.refused(small("banking77", 2, 1, 2))

    def test_csv(self):
        again = "; get the file again"
        self.assertEqual(self.banking(b"txt,category\na,b\n"),
                         "train.csv:1: expected the columns text, category, found txt, category" + again)
        self.assertEqual(self.banking(b'text,category\na,b\n"c\nd",e,f\n'),
                         "train.csv:3: expected 2 fields, found 3" + again)
        self.assertEqual(self.banking(b'text,category\na,b\n"c,d\n'),
                         "train.csv:3: expected CSV, found a fault: unexpected end of data" + again)
        self.assertEqual(self.banking(b"text,category\na,b\n ,d\n"),
                         "train.csv:3: expected a text and a label, found an empty one" + again)
        self.assertEqual(self.banking(b"text,category\na,b\nc\xff,d\n"),
                         "train.csv:3: expected UTF-8, found the byte 0xFF" + again)

    def test_json(self):
        dataset = small("clinc150", 2, 3, 2)
        self.give(data_oos_plus__json='{\n"train": [["a", "b"],\n}')
        self.assertEqual(self.refused(dataset),
                         "data_oos_plus.json:3: expected JSON, found a fault at column 1: Expecting "
                         "value; get the file again")
        self.give(data_oos_plus__json=json.dumps({**CLINC, "oos_train": None}))
        self.assertEqual(self.refused(dataset), 'data_oos_plus.json: expected a list under "oos_train", '
                         "found none; get the file again")
        self.give(data_oos_plus__json=json.dumps({**CLINC, "test": [["a", "b"], ["c"]]}))
        self.assertEqual(self.refused(dataset), 'data_oos_plus.json: "test" entry 1: expected [text, '
                         'intent], found ["c"]; get the file again')

    def test_lines_of_trec(self):
        self.give(train_5500__label=TREC + b"VERB:x what\n", TREC_10__label=b"")
        self.assertEqual(self.refused(small("trec", 3, 1, 3)),
                         'train_5500.label:5: expected "COARSE:fine text", found "VERB:x what"; get the '
                         "file again")

    def test_counts(self):
        self.give(train__csv=BANKING_TRAIN, test__csv=BANKING_TEST)
        for counts, said in (((3, 1, 2), "3 training rows as published, found 2"),
                             ((2, 2, 2), "2 test rows as published, found 1"),
                             ((2, 1, 77), "77 labels as published, found 2")):
            self.assertEqual(self.refused(small("banking77", *counts)),
                             f"banking77: expected {said}; the files are not the published ones")

    def test_hash(self):
        self.give(train__csv=BANKING_TRAIN, test__csv=BANKING_TEST)
        dataset = dataclasses.replace(BY_NAME["banking77"], train=2, test=1, labels=2)
        self.assertEqual(self.refused(dataset, 4),
                         f"{self.given / 'train.csv'}: expected a file with SHA-256 "
                         f"{dataset.sources[0].sha256}, found {hashlib.sha256(BANKING_TRAIN).hexdigest()}; "
                         "it is damaged or has changed: get it again, or take it as it is with "
                         "--any-version")
        self.assertEqual(run("--from", self.given, "--out", self.out, "--any-version",
                             datasets=(dataset,))[0], 0)

    def test_all_missing_files_are_listed(self):
        self.give(test__csv=BANKING_TEST)
        self.assertEqual(run("--from", self.given, "--only", "banking77,trec"),
                         (4, "", f"fetch_datasets: {self.given}: these files are not there:\n"
                          f"  train.csv  from {catalog.BANKING}train.csv\n"
                          f"  train_5500.label  from {catalog.TREC}train_5500.label\n"
                          f"  TREC_10.label  from {catalog.TREC}TREC_10.label\n"))


class Server(http.server.BaseHTTPRequestHandler):
    """/ok works, /busy does at the third try, /short announces more than it sends, others are absent."""

    asked = []

    def do_GET(self):
        self.asked.append(self.path)
        busy = self.path == "/busy" and self.asked.count("/busy") < 3
        self.send_response(503 if busy else 200 if self.path in ("/ok", "/busy", "/short") else 404)
        body = b"0123456789"
        self.send_header("Content-Length", str(len(body) + (5 if self.path == "/short" else 0)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Download(Folder):
    @classmethod
    def setUpClass(cls):
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.url = f"http://127.0.0.1:{cls.server.server_port}"
        os.environ["no_proxy"] = "127.0.0.1"

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()

    def setUp(self):
        super().setUp()
        Server.asked.clear()

    def fails(self, url, said, tries):
        path = self.folder / "file"
        with self.assertRaises(download.FetchError) as caught:
            download.download(url, path, tries=3, wait_s=0)
        self.assertEqual(str(caught.exception),
                         f"{url}: cannot be downloaded ({tries} tries): {said}; check the network and "
                         "https_proxy, or get the file by hand and name its folder with --from")
        self.assertEqual(sorted(os.listdir(self.folder)), ["given"])

    def test_a_file_comes_whole(self):
        path = self.folder / "deep" / "file"
        download.download(self.url + "/ok", path)
        self.assertEqual(path.read_bytes(), b"0123456789")
        self.assertEqual(os.listdir(path.parent), ["file"])

    def test_a_busy_server_is_asked_again(self):
        download.download(self.url + "/busy", self.folder / "file", tries=3, wait_s=0)
        self.assertEqual(Server.asked, ["/busy"] * 3)

    def test_a_cut_download_is_no_file(self):
        self.fails(self.url + "/short", "expected 15 bytes, found the end after 10", 3)
        self.assertEqual(Server.asked, ["/short"] * 3)

    def test_an_absent_file_is_asked_for_once(self):
        self.fails(self.url + "/gone", "HTTP Error 404: Not Found", 1)
        self.assertEqual(Server.asked, ["/gone"])

    def test_no_network(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.fails(f"http://127.0.0.1:{port}/", "<urlopen error [Errno 111] Connection refused>", 3)

    def test_a_data_set_comes_from_its_addresses(self):
        sources = tuple(catalog.Source(name, self.url + "/ok", "") for name in ("a", "b"))
        dataset = small("banking77", 1, 1, 2, sources=sources, convert=lambda data: [
            [{"text": data[name].decode(), "label": name}] for name in ("a", "b")])
        code, out, errors = run("--out", self.out, datasets=(dataset,))
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(out, f"{self.out / 'banking77'}: 1 training rows, 1 test rows, 2 labels\n")
        self.assertEqual(read(self.out / "banking77" / "train.jsonl"), [{"text": "0123456789", "label": "a"}])


class CommandLine(unittest.TestCase):
    def test_list_names_sets_files_and_licences(self):
        code, out, _ = run("--list", "--only", "trec")
        self.assertEqual(code, 0)
        self.assertEqual(out.splitlines()[0], "trec: questions by the type of their answer, coarse; 5,452 "
                         "/ 500 rows, 6 labels; licence: none stated")
        self.assertEqual(len(out.splitlines()), 3)
        self.assertEqual(len(run("--list")[1].splitlines()), 8 + 18)

    def test_unknown_names(self):
        with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()) as errors:
            fetch_datasets.main(["--only", "trec,treck"])
        self.assertIn("--only: expected some of banking77, clinc150, nlu, trec, trecfine, hwu64, snips, "
                      "e2e_nlg, found "
                      "treck", errors.getvalue())

    def test_every_label_of_trec_has_a_name_of_its_own(self):
        self.assertEqual(len(set(catalog.TREC_FINE.values())), len(catalog.TREC_FINE))


if __name__ == "__main__":
    unittest.main()
