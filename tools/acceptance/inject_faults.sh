#!/usr/bin/env bash
# Every position of fault injection, for an hour; continues where it was stopped. See README.md.
set -eu
if [ $# -lt 1 ] || [ "$1" = -h ] || [ "$1" = --help ]; then
  echo "usage: tools/acceptance/inject_faults.sh RESULTS [option of tests/faults/inject.py]..." >&2
  exit 2
fi
results=$1
shift
repository=$(cd "$(dirname "$0")/../.." && pwd)
exec "$repository/tests/faults/inject.py" --build "$repository/build/release" --full --jobs "$(nproc)" \
  --results "$results" "$@"
