#!/bin/sh
# Resolve every requirement file: versions and hashes, no download addresses.
set -eu
cd "$(dirname "$0")/.."
common="--universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --python-version 3.11 --quiet"
uv pip compile $common pyproject.toml -o requirements/runtime.txt
uv pip compile $common --group dev pyproject.toml -c requirements/runtime.txt -o requirements/dev.txt
printf "hatchling==1.27.0\neditables\n" | uv pip compile $common - -o requirements/build.txt
printf 'ccxt==4.5.90\nprotobuf\n' | uv pip compile $common - -o requirements/conformance.txt
