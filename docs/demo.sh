#!/bin/sh
# The main job on the embedded store: nothing of AWS is needed. Everything stands in .demo/ afterwards.
set -eu

DYNASTASH_DATA="$PWD/.demo"
export DYNASTASH_DATA
unset DYNASTASH_ENV DYNASTASH_LOCAL_KEY
DYNASTASH_CONFIG="$DYNASTASH_DATA/dynastash.toml" # not whatever file a directory above may hold
export DYNASTASH_CONFIG
rm -rf "$DYNASTASH_DATA"
mkdir -m 700 "$DYNASTASH_DATA"
: > "$DYNASTASH_CONFIG"

show() {
    printf '\n$ %s\n' "$1"
    sh -c "$1" 2>&1
}

echo "This demo keeps an encrypted store in $DYNASTASH_DATA and touches nothing else."

show 'printf "correct horse" | dynastash put app1/db/password --comment "initial"'
show 'dynastash get app1/db/password && echo'
show 'dynastash generate app1/api/token --length 40 --comment "for the billing job"'
show 'dynastash rotate app1/api/token --comment "as every month"'
show 'dynastash history app1/api/token'
show 'dynastash get app1/api/token --version 1 | wc -c'
show 'dynastash rollback app1/api/token'
show 'dynastash generate app1/tls/key --key-pair ed25519'
show 'dynastash get app1/tls/key --public-key'
show 'dynastash list app1/'
show 'dynastash get app1/db/pasword || echo "exit code $?"'

printf '\nThe secrets are in %s (encrypted), the key beside it in %s.\n' \
    "$DYNASTASH_DATA/local.db" "$DYNASTASH_DATA/local.key"
echo "Try: DYNASTASH_DATA=$DYNASTASH_DATA .venv/bin/dynastash list"
