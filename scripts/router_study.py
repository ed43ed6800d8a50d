#!/usr/bin/env python3
"""Train the CLINC150 router on more and more samples and compare it with every baseline (standard library only).

    scripts/router_study.py run   --bank BANK [--sizes 150,450,1500,4500] [--seeds 1,2,3,4,5]
    scripts/router_study.py table [--write]      from docs/results/router/*.json; --write puts it into docs/results.md

BANK knows `minilm`, `clinc150` and the ten adapters with the tag set=clinc150 (README). A run whose file exists is not
run again: stop and go on as you like. What training does not change is computed once (--cache). Searching weights
(lorahub) and training gates (gate-vectors) take minutes; they run for the sizes and seeds of --slow.
"""
import argparse
import glob
import json
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = os.path.join(ROOT, "docs/results/router")
QUICK = "backbone,single,best-single,oracle-task,oracle-expert,uniform,merged,arrow,spectr,centroid,global-domain"
SLOW = ",lorahub,gate-vectors"
MERGES = ["uniform_average", "task_arithmetic", "ties", "tsv_m", "iso_c"]
BEGIN, END = "<!-- router study -->", "<!-- end of router study -->"


def run(options):
    os.makedirs(OUT, exist_ok=True)
    slow = {tuple(map(int, pair.split(":"))) for pair in options.slow.split(",") if pair}
    jobs = [(size, seed) for seed in options.seeds for size in options.sizes]
    first = jobs[0] if jobs else None
    if (1500, options.seeds[0]) in jobs:
        first = (1500, options.seeds[0])
    # The size that matters most comes first, runs of several minutes last but for one.
    jobs.sort(key=lambda job: (job != first, job in slow, job[1], job[0] != 1500, job[0]))
    for size, seed in jobs:
        path = os.path.join(OUT, f"clinc150-n{size}-s{seed}.json")
        if os.path.exists(path):
            continue
        command = [options.program, "router", "train", options.config, "--bank", options.bank, "--json", "--no-progress", "--quiet"]
        command += ["--threads", str(options.threads)]
        command += ["--set", f"train.samples={size}", "--set", f"seed={seed}"]
        command += ["--baselines", QUICK + (SLOW if (size, seed) in slow else "")]
        if (size, seed) not in slow:
            command += ["--only-mode"]
        command += ["--cache", options.cache]
        for name in MERGES:
            command += ["--merge", os.path.join(ROOT, f"recipes/reference/clinc150/{name}.yaml")]
        began = time.time()
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"size {size}, seed {seed}: exit {done.returncode}\n{done.stderr[-2000:]}")
        document = json.loads(done.stdout)
        document["seconds_wall"] = round(time.time() - began, 1)
        with open(path + ".part", "w") as file:
            json.dump(document, file, indent=1)
        os.replace(path + ".part", path)
        print(f"n={size} seed={seed}: {document['results'][0]['acc_global']:.4f} in {document['seconds_wall']} s", flush=True)


def mean_and_deviation(values):
    mean = sum(values) / len(values)
    if len(values) < 2:
        return mean, None
    return mean, (sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5


def cell(values):
    if not values:
        return "–"
    mean, deviation = mean_and_deviation([100 * v for v in values])
    return f"{mean:.2f}" + (f" ± {deviation:.2f}" if deviation is not None else " (1)")


def table():
    runs = [json.load(open(path)) for path in sorted(glob.glob(os.path.join(OUT, "clinc150-n*.json")))]
    sizes = sorted({r["n_train"] for r in runs})
    by = {}
    beaten = {}
    for r in runs:
        for row in r["results"]:
            by.setdefault(row["subject"], {}).setdefault(r["n_train"], []).append(row["acc_global"])
            if row["difference_low"] is not None:
                beaten.setdefault(row["subject"], {}).setdefault(r["n_train"], []).append(row["difference_low"] > 0)
    order = list(by)
    lines = [
        "| subject | " + " | ".join(f"n = {n}" for n in sizes) + " | beaten by the router, runs (n = 1500) |",
        "| --- |" + " --- |" * (len(sizes) + 1),
    ]
    for subject in order:
        wins = beaten.get(subject, {}).get(1500, [])
        share = f"{sum(wins)} of {len(wins)}" if wins and not subject.startswith("router:") else "–"
        lines.append(f"| {subject} | " + " | ".join(cell(by[subject].get(n, [])) for n in sizes) + f" | {share} |")
    counts = ", ".join(f"{sum(1 for r in runs if r['n_train'] == n)} at n = {n}" for n in sizes)
    lines += ["", f"Global accuracy in percent on 4500 test samples, mean ± standard deviation over seeds ({counts}); "
              "(1) marks a single run. A baseline counts as beaten when the lower end of the paired bootstrap interval "
              "(1000 resamples, 95 %) of the difference lies above zero."]
    normalised = {}
    for r in runs:
        normalised.setdefault(r["n_train"], []).append(r["results"][0]["normalised"])
    parts = [f"{sum(v) / len(v):.3f} at n = {n}" for n, v in sorted(normalised.items())]
    lines += ["", "Normalised score of the router, (accuracy − backbone)/(oracle task − backbone): " + ", ".join(parts) + "."]
    seconds = [r["seconds_train"] for r in runs if r["n_train"] == 1500]
    if seconds:
        lines += ["", f"Training on 1500 samples took {min(seconds):.0f} to {max(seconds):.0f} s of the wall clock."]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["run", "table"])
    parser.add_argument("--program", default=os.path.join(ROOT, ".build/release/lorabank"))
    parser.add_argument("--config", default=os.path.join(ROOT, "recipes/router/clinc150.yaml"))
    parser.add_argument("--bank")
    parser.add_argument("--cache", default=os.path.join(ROOT, ".build/router-study-cache"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sizes", default="150,450,1500,4500")
    parser.add_argument("--seeds", default="1,2,3,4,5")
    parser.add_argument("--slow", default="1500:1,1500:2,1500:3", help="size:seed pairs that run every baseline and mode")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    options.sizes = [int(x) for x in options.sizes.split(",")]
    options.seeds = [int(x) for x in options.seeds.split(",")]
    if options.action == "run":
        if not options.bank:
            parser.error("--bank is missing")
        return run(options)
    text = table()
    if not options.write:
        return print(text)
    path = os.path.join(ROOT, "docs/results.md")
    content = open(path).read()
    head = "## Routing: the CLINC150 router against every baseline\n\n"
    command = "`scripts/router_study.py run --bank BANK && scripts/router_study.py table --write`; each run's whole document is in "
    command += "`docs/results/router/`.\n\n"
    block = f"{BEGIN}\n{head}{command}{text}\n{END}"
    if BEGIN in content:
        content = content[: content.index(BEGIN)] + block + content[content.index(END) + len(END):]
    else:
        content = content.rstrip("\n") + "\n\n" + block + "\n"
    open(path, "w").write(content)


if __name__ == "__main__":
    main()
