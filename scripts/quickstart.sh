#!/bin/bash
# The main job on real handwritten digits, with the ordinary commands. Each is printed before it runs, so that it can be
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

# The identifier of a run: it stands in the names of its adapters and in their tag 'run'.
identifier() { sed -n 's/^ *"run": *"\([0-9a-f]*\)".*/\1/p' "$1/config.resolved.json" | head -1; }

export LORABANK_BANK="$out/bank"
printf '$ export LORABANK_BANK=%s/bank\n' "$out"

# 1  A bank, the frozen backbone that ships (pre-trained on random strokes), and the digits.
run init "$out/bank"
run backbone import bank/starter/backbone --name starter
run data import bank/starter/data --name starter

# 2  Train: one adapter per pair of digits, and two sequential baselines. The engine enters them into the bank.
run cil run recipes/cil/independent.yaml --run "$out/runs/digits"
run cil run recipes/cil/single.yaml --run "$out/runs/single"
run cil run recipes/cil/chain.yaml --run "$out/runs/chain"
digits=tag:run=$(identifier "$out/runs/digits")
run list --tag "${digits#tag:}"
run inspect "$digits"
run compare "$digits"

# 3  Merge the five adapters by several recipes. The head of each stands beside it and does not go into the merge.
for recipe in linear ties tsv_m pam_delta; do
    run merge "recipes/merge/$recipe.yaml" --set "models[0].model=$digits" \
        --name "digits-$recipe" --tag set=merged
done
run approve tag:set=merged --reason "made from adapters trained here; inspection is clean"
run show digits-tsv_m

# 4  Evaluate: the backbone, each adapter, each merge, the sequential baselines; one head of class means for all.
run eval "$digits" tag:set=merged "cil-$(identifier "$out/runs/single")-fast-4" \
    "cil-$(identifier "$out/runs/chain")-slow-4" --backbone --suite recipes/suites/starter-digits.yaml

# 5  A router over the five adapters, trained on 200 images, against its baselines.
if [ -f recipes/router/starter-digits.yaml ]; then
    run router train recipes/router/starter-digits.yaml --run "$out/runs/router" \
        --set train.regime=plug-and-play --set "experts=[\"$digits\"]" --set train.samples=200 \
        --set 'domains={task0: "tag:task=0", task1: "tag:task=1", task2: "tag:task=2", task3: "tag:task=3", task4: "tag:task=4"}'
fi

# 6  Take it away, and look at it.
run export digits-tsv_m --to "$out/digits-tsv_m"
run check --read-data
run audit verify
for name in digits single chain; do run cil report "$out/runs/$name"; done
run report "$digits" tag:set=merged --to "$out/report.html" --title "Five digit adapters, four merges"

printf '\n%s/report.html shows the adapters, %s/runs/chain/report.html a run; %s/digits-tsv_m is a PEFT folder.\n' \
    "$out" "$out" "$out"
