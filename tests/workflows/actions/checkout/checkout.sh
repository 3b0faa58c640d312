#!/usr/bin/env bash
# A checkout as GitHub's runner makes it: nothing of an earlier one is there, and no token stays.
set -euo pipefail
[ "$KEEPS_TOKEN" = false ]
find . -mindepth 1 -delete
git init --quiet
git remote add origin "$ORIGIN"
if [ "$DEPTH" = 0 ]; then
    git fetch --quiet --tags origin '+refs/heads/*:refs/remotes/origin/*' "$REF"
else
    git fetch --quiet --no-tags --depth="$DEPTH" origin "$REF"
fi
git checkout --quiet --detach "$REF"
