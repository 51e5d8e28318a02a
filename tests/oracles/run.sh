#!/bin/sh
# Installs the pinned packages into a temporary folder and runs the oracles that are named, all without a name.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp "$here"/*.mjs "$here/package.json" "$folder/"
cd "$folder"
npm install --no-audit --no-fund --ignore-scripts --loglevel=error
failed=0
for file in *.mjs; do
  name=${file%.mjs}
  [ "$name" = golden ] && continue
  [ $# -gt 0 ] && case " $* " in *" $name "*) ;; *) continue ;; esac
  REPOGUARD_TESTS="$here/.." node "$file" || failed=1
done
exit $failed
