#!/bin/sh
# usage: tools/cuda/quickstart_with.sh PROGRAM BACKEND RECORD
# Runs pipelines/quickstart.toml with another attention backend and a new store; writes the result
# record to the file RECORD.
set -eu
cd "$(dirname "$0")/../.."
program=$1
backend=$2
record=$3
folder=$(mktemp -d)
pipeline=pipelines/quickstart_with_$backend.toml # beside the one it comes from: paths are relative
trap 'rm -rf "$folder" "$pipeline"' EXIT
sed -e "/^\[attention_backend\]/,/^\[/ s/plugin = \"cpu\"/plugin = \"$backend\"/" \
  -e "s#\"\.\./build/quickstart/store\"#\"$folder/store\"#" \
  -e "s#\"\.\./build/quickstart/runs\"#\"$folder/runs\"#" pipelines/quickstart.toml >"$pipeline"
grep -q "plugin = \"$backend\"" "$pipeline"
"$program" run "$pipeline"
cp "$folder"/runs/*.json "$record"
