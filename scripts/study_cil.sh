#!/bin/bash
# Class-incremental studies on real data, resumable: what has finished is not run again, what was killed goes on behind
# its last checkpoint. Usage: scripts/study_cil.sh PROGRAM SHARED [MINILM] [SEEDS] [JOBS]
#
# Runs stand in .build/study-cil; the result of each run is copied to docs/results/cil/STUDY/SETTING/seed-N.json as it
# comes, and the tables are written to docs/results/cil.md at the end (or by scripts/collect_cil.py at any time).
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:-.build/release/lorabank}")
shared=$(realpath "${2:-../shared}")
minilm=${3:-.build/minilm}
seeds=${4:-5}
jobs=${5:-2}
work=.build/study-cil
mkdir -p "$work"
export LORABANK_BANK="$work/bank"
[ -d "$work/bank" ] || "$program" init "$work/bank" >/dev/null

# A name is imported once; data that are not there leave their study out.
known() { "$program" "$1" show "$2" >/dev/null 2>&1; }
need() { known "$1" "$2" || { [ -e "$3" ] && "$program" "$1" import "$3" --name "$2"; }; }

study() {
    local name=$1
    shift
    echo "== $name"
    "$program" cil study map --run "$work/$name" --config "recipes/cil/study/$name.yaml" --seeds "$seeds" \
        --jobs "$jobs" "$@" || echo "study $name is not finished" >&2
    python3 scripts/collect_cil.py "$work" docs/results/cil docs/results.md
}

need backbone starter bank/starter/backbone && need data starter bank/starter/data && study split-digits --vary-order
need backbone vit-tiny28 "$shared/backbones/vit-tiny28" && need data mnist "$shared/data/mnist" && study split-mnist
if [ -f "$minilm/model.safetensors" ]; then
    need backbone minilm "$minilm" && need data clinc150 "$shared/data/clinc150" && study clinc150
else
    echo "MiniLM is missing: the text study is left out" >&2
fi
