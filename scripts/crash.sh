#!/bin/bash
# Kills imports and merges at random moments and checks the bank after each: PROGRAM [TIMES]
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:?usage: crash.sh PROGRAM [TIMES]}")
times=${2:-100}
adapters=$(realpath bank/starter/adapters)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LORABANK_BANK="$work/bank"

"$program" -q init "$LORABANK_BANK" >/dev/null
"$program" -q import "$adapters" --tag set=starter >/dev/null
killed=0
for ((i = 1; i <= times; i++)); do
    case $((i % 3)) in
        0) "$program" -q import "$adapters/digits-01" --name "again-$i" >"$work/out" 2>/dev/null & ;;
        1) "$program" -q merge --method tsv_m tag:set=starter --name "merged-$i" >"$work/out" 2>/dev/null & ;;
        2) "$program" -q merge --method ties digits-01 digits-23 --name "merged-$i" >"$work/out" 2>/dev/null & ;;
    esac
    sleep "0.$(printf '%04d' $((RANDOM % 600)))"
    if kill -9 $! 2>/dev/null; then killed=$((killed + 1)); fi
    if wait $! 2>/dev/null; then
        name=$([ $((i % 3)) = 0 ] && echo "again-$i" || echo "merged-$i")
        "$program" -q show "$name" >/dev/null || { echo "'$name' was reported as done and is gone" >&2; exit 1; }
    fi
    "$program" -q check --read-data >/dev/null || { echo "the bank is damaged after kill $i" >&2; exit 1; }
    count=$("$program" list --tag set=starter --json | grep -o '"name"' | wc -l)
    [ "$count" = 5 ] || { echo "$count of 5 adapters are left after kill $i" >&2; exit 1; }
done
"$program" gc --prune --yes
"$program" check --read-data
echo "$times rounds, $killed killed: nothing lost, nothing half-done"
