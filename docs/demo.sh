#!/bin/sh
# The main job on the embedded store: nothing of AWS is needed. Everything stands in .demo/ afterwards.
set -eu

DYNASTASH_DATA="$PWD/.demo"
export DYNASTASH_DATA
unset DYNASTASH_ENV DYNASTASH_CONFIG DYNASTASH_LOCAL_KEY
rm -rf "$DYNASTASH_DATA"

show() {
    printf '\n$ %s\n' "$1"
    sh -c "$1"
}

echo "This demo keeps an encrypted store in $DYNASTASH_DATA and touches nothing else."

show 'openssl rand -base64 24 2>/dev/null | dynastash put app1/db/password --comment "made by openssl" ||
  head -c 18 /dev/urandom | base64 | dynastash put app1/db/password --comment "from urandom"'
show 'dynastash generate app1/api/token --length 40'
show 'dynastash generate app1/tls/key --key-pair ed25519 --comment "signs the web hooks"'
show 'dynastash list'
show 'dynastash rotate app1/api/token --comment "as every month"'
show 'dynastash history app1/api/token'
show 'dynastash get app1/api/token | wc -c'
show 'test "$(dynastash get app1/api/token)" != "$(dynastash get app1/api/token --version 1)" && echo "version 1 is still there, and another value"'
show 'dynastash rollback app1/api/token'
show 'test "$(dynastash get app1/api/token)" = "$(dynastash get app1/api/token --version 1)" && echo "version 3 has the value of version 1"'
show 'dynastash get app1/tls/key --public-key'
show 'dynastash get app1/nobody || echo "exit code $?"'

printf '\nThe secrets are in %s (encrypted), the key beside it in %s.\n' "$DYNASTASH_DATA/local.db" "$DYNASTASH_DATA/local.key"
echo "Try: DYNASTASH_DATA=$DYNASTASH_DATA .venv/bin/dynastash list"
