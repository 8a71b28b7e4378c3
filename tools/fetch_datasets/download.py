"""Gets published files: from their addresses, or from a folder where they were put by hand."""

import hashlib
import http.client
import pathlib
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request

TIMEOUT_S = 60
TRIES = 4
CHUNK_BYTES = 1 << 16


class FetchError(Exception):
    """No file: the network, the address, or what came is to blame."""


def show_progress(name, got, size, end=""):
    """One line on a terminal, written over; `end` is a line end once the file is there."""
    if not sys.stderr.isatty():
        return
    of = f" of {size / 1e6:.1f}" if size else ""
    print(f"\r{name}: {got / 1e6:.1f}{of} MB\033[K", end=end, file=sys.stderr, flush=True)


def copy_response(response, out, name):
    """All of the response into `out`; an OSError if fewer bytes came than were announced."""
    announced = response.headers.get("Content-Length")
    size, got = int(announced) if announced else 0, 0
    while chunk := response.read(CHUNK_BYTES):
        out.write(chunk)
        got += len(chunk)
        show_progress(name, got, size)
    if announced and got != size:
        raise OSError(f"expected {size} bytes, found the end after {got}")


def is_final(error):
    """Whether to try again is of no use: the server answered, and not that it is busy."""
    if not isinstance(error, urllib.error.HTTPError):
        return False
    error.close()  # the connection that it holds
    return error.code < 500 and error.code != 429


def download(url, path, tries=TRIES, wait_s=1.0, timeout_s=TIMEOUT_S):
    """The file at `url`, whole or not at all: a temporary file beside `path` is renamed to it.

    A failed try is repeated from the start, after a wait that doubles. Proxies are those of the
    environment (https_proxy, no_proxy). FetchError names the address and the last failure.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, tries + 1):
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name + ".", delete=False) as out:
            partial = pathlib.Path(out.name)
            try:
                with urllib.request.urlopen(url, timeout=timeout_s) as response:
                    copy_response(response, out, path.name)
                out.close()
                partial.chmod(0o644)
                partial.rename(path)
                show_progress(path.name, path.stat().st_size, 0, "\n")
                return
            except (OSError, http.client.HTTPException, ValueError) as error:
                failure = error
            finally:
                partial.unlink(missing_ok=True)
        if is_final(failure):
            break
        if attempt < tries:
            time.sleep(wait_s * 2 ** (attempt - 1))
    raise FetchError(f"{url}: cannot be downloaded ({attempt} tries): {failure}; check the network "
                     "and https_proxy, or get the file by hand and name its folder with --from")


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_hash(path, where, expected, any_version):
    found = sha256(path)
    if expected and found != expected and not any_version:
        raise FetchError(f"{where}: expected a file with SHA-256 {expected}, found {found}; it is "
                         "damaged or has changed: get it again, or take it as it is with "
                         "--any-version")
    return found


def obtain(source, folder, from_folder=None, any_version=False, get=download):
    """Puts the file of `source` (url, name, sha256) into `folder`; returns its path and SHA-256."""
    path = folder / source.name
    if from_folder is None:
        get(source.url, path)
        return path, check_hash(path, source.url, source.sha256, any_version)
    given = from_folder / source.name
    if not given.is_file():
        raise FetchError(f"{given}: there is no such file; get it from {source.url}")
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(given, path)
    return path, check_hash(path, given, source.sha256, any_version)
