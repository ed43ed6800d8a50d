#!/bin/bash
# The main job on the starter adapters, with the ordinary commands. Each is printed before it runs, so that it can be
# copied. Writes everything below quickstart/, which is made anew each time.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:-.build/release/lorabank}")
out=quickstart
rm -rf "$out"
mkdir -p "$out"

# Commands are shown as a user would type them in the folder of the repository.
run() {
    local line='$ lorabank' word
    for word in "$@"; do
        case $word in *[!A-Za-z0-9_./:=@-]*) word="'$word'" ;; esac
        line+=" $word"
    done
    printf '\n%s\n' "$line"
    "$program" "$@"
}

export LORABANK_BANK="$out/bank"
printf '$ export LORABANK_BANK=%s/bank\n' "$out"

run init "$out/bank"
run import bank/starter/adapters --tag set=starter
run list --tag set=starter
run inspect mnist-01 mnist-23 mnist-45 mnist-67 mnist-89
run approve tag:set=starter --reason "shipped with the program; inspection is clean"
run compare tag:set=starter

for recipe in linear ties tsv_m pam_delta; do
    run merge "recipes/merge/$recipe.yaml" --name "digits-$recipe" --tag set=merged
done
run list --tag set=merged
run show digits-tsv_m
run compare tag:set=merged
run export digits-tsv_m --to "$out/digits-tsv_m"
run check --read-data
run audit verify
run report --to "$out/report.html" --title "Five digit adapters, four merges"

printf '\nThe page %s/report.html shows all of this; %s/digits-tsv_m is a PEFT folder.\n' "$out" "$out"
