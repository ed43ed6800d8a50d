#!/bin/bash
# Kills a continual run at random moments, goes on each time, and compares the files with those of a run that nothing
# interrupted: scripts/cil_crash.sh PROGRAM CONFIG [KILLS]
set -euo pipefail
program=$1
config=$2
kills=${3:-10}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

start=$(date +%s%N)
"$program" cil run "$config" --run "$work/whole" --no-bank --quiet > /dev/null
length=$(( ($(date +%s%N) - start) / 1000000 ))
echo "uninterrupted: $length ms"

"$program" cil run "$config" --run "$work/cut" --no-bank --quiet > /dev/null &
for ((kill = 1; kill <= kills; kill++)); do
    pid=$!
    sleep "$(awk -v seed=$RANDOM -v length_ms="$length" -v n="$kills" \
        'BEGIN { srand(seed); printf "%.3f", 0.05 + rand() * 2 * length_ms / n / 1000 }')"
    if kill -9 "$pid" 2> /dev/null; then echo "killed $kill"; else echo "had ended before kill $kill"; fi
    wait "$pid" 2> /dev/null || true
    # Before the first checkpoint the request alone is there, and the run begins anew.
    if [ ! -e "$work/cut/request.json" ]; then
        rm -rf "$work/cut"
        "$program" cil run "$config" --run "$work/cut" --no-bank --quiet > /dev/null &
    else
        "$program" cil resume "$work/cut" --no-bank --quiet > /dev/null &
    fi
done
wait $!
diff -rq --exclude timings.jsonl --exclude '.*' "$work/whole" "$work/cut"
echo "the files are the same"
