#!/bin/sh
# From a fresh clone to a result: packages, release build, pipelines/quickstart.toml.
# Can be run again at any time; what is there already is kept.
set -eu
cd "$(dirname "$0")/.."

usage() {
  cat <<'END'
usage: tools/quickstart.sh

Installs the Debian packages dbsa-pipe is built with (as root or with sudo; not with DBSA_NO_SETUP=1
in the environment), builds it into build/release, and runs pipelines/quickstart.toml with the small
model that is in this repository. Run it again to see the encoded blocks reused.
END
}

case "${1-}" in
  "") ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac

echo "==> 1/3 packages"
[ -n "${DBSA_NO_SETUP-}" ] && echo "not installed: DBSA_NO_SETUP is set" || tools/setup.sh
echo "==> 2/3 build (build/release)"
mkdir -p build
cmake --preset release >build/configure.log 2>&1 || { cat build/configure.log >&2; exit 1; }
cmake --build --preset release --target dbsa-pipe dbsa_plugins
echo "==> 3/3 build/release/bin/dbsa-pipe run pipelines/quickstart.toml"
build/release/bin/dbsa-pipe run pipelines/quickstart.toml
