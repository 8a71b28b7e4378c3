#!/bin/sh
# Installs what dbsa-pipe is built with, from Debian 12's own packages. Works as root or with sudo,
# any number of times.
set -eu

packages="
  g++ cmake ninja-build ccache pkg-config
  libboost-dev libboost-filesystem-dev libboost-program-options-dev libtbb-dev libeigen3-dev libfaiss-dev
  libhdf5-dev libgflags-dev libtomlplusplus-dev nlohmann-json3-dev libvalijson-dev libspdlog-dev
  libsentencepiece-dev libpcre2-dev libutf8proc-dev libstemmer-dev libdnnl-dev libxxhash-dev
  libgtest-dev libgmock-dev libbenchmark-dev"
test_packages="clang-14 clang-format-14 clang-tidy-14 libclang-rt-14-dev python3 python3-h5py"

usage() {
  cat <<'END'
usage: tools/setup.sh [--with-tests]

Installs the Debian packages that dbsa-pipe needs. --with-tests adds those that only the tests need.
END
}

case "${1-}" in
  "") ;;
  --with-tests) packages="$packages $test_packages" ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac

missing=""
for package in $packages; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing="$missing $package"
done
if [ -z "$missing" ]; then
  echo "setup: all packages are installed"
  exit 0
fi

if [ "$(id -u)" = 0 ]; then
  as_root=""
elif command -v sudo >/dev/null; then
  as_root="sudo"
else
  echo "setup: not root, and there is no sudo; as root, run: apt-get install$missing" >&2
  exit 4
fi
echo "setup: installing$missing"
$as_root apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
echo "setup: done"
