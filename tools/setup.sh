#!/bin/sh
# Installs what dbsa-pipe is built with, from Debian 12's own packages. Works as root or with sudo,
# any number of times.
set -eu

packages="
  g++ cmake ninja-build ccache pkg-config
  libboost-dev libboost-filesystem-dev libboost-program-options-dev libtbb-dev libeigen3-dev libfaiss-dev
  libhdf5-dev libgflags-dev libtomlplusplus-dev nlohmann-json3-dev libvalijson-dev libspdlog-dev
  libsentencepiece-dev libpcre2-dev libutf8proc-dev libstemmer-dev libdnnl-dev libxxhash-dev zlib1g-dev
  libgtest-dev libgmock-dev libbenchmark-dev gnuplot-nox"
test_packages="clang clang-format clang-tidy libclang-rt-14-dev lld llvm python3 python3-h5py slurm-wlm"

usage() {
  cat <<'END'
usage: tools/setup.sh [--with-tests]

Installs the Debian packages that dbsa-pipe needs. --with-tests adds those that only
tools/test.sh needs: clang, its tools and linker, Python for the checks of generated files, and Slurm.
END
}

case "${1-}" in
  "") ;;
  --with-tests) packages="$packages $test_packages" ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac

fail() {
  echo "setup: $1" >&2
  exit 4
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  fail "found no apt-get and dpkg-query; this script knows Debian 12 only"
fi

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
  fail "not root, and there is no sudo; as root, run: apt-get install$missing"
fi
# Words, to be split.
apt="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o DPkg::Use-Pty=0"
echo "setup: installing$missing"
$apt update -qq || fail "apt-get update failed, see above"
$apt install -y -qq --no-install-recommends $missing >/dev/null || fail "apt-get install failed, see above"
echo "setup: done"
