#!/usr/bin/env python3
"""Measure the merge methods on the five starter adapters and print the table of docs/merging.md (standard library only).

    scripts/method_table.py PROGRAM [ADAPTERS]      e.g. .build/release/lorabank bank/starter/adapters

Each method runs with its defaults, `lorabank merge --method M … --json`. CPU seconds and peak memory are those of the
whole command. Energy kept is 1 − discarded_energy: of the worst module, and of all weighted by the squared norm of the
merged update before it was compressed.
"""
import glob
import json
import os
import resource
import subprocess
import sys
import tempfile

METHODS = [
    ("cat", "G"), ("linear", "G"), ("task_arithmetic", "G"), ("model_stock", "G"), ("karcher", "G"), ("svd", "S"),
    ("tsv_m", "S"), ("iso_c", "S"), ("iso_cts", "S"), ("opcm", "S"), ("pam", "S"), ("wudi", "S"), ("knots_ties", "K"),
    ("core_ties", "K"), ("ties", "E"), ("magnitude_prune", "E"), ("dare_ties", "E"), ("breadcrumbs", "E"),
    ("della", "E"), ("magmax", "E"), ("sce", "E"),
]


def run(command):
    """Standard output, CPU seconds and peak bytes of one process."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output = process.stdout.read()
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)}: {errors.decode()}")
    return output, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def percent(value):
    return "100 %" if value > 0.99995 else f"{100 * value:.1f} %"


def main():
    program = os.path.realpath(sys.argv[1])
    adapters = sorted(glob.glob((sys.argv[2] if len(sys.argv) > 2 else "bank/starter/adapters") + "/*"))
    print("| method | class | CPU s | peak MiB | rank out | kept, worst module | kept, all |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for name, kind in METHODS:
            output, seconds, peak = run(
                [program, "merge", "--method", name, *adapters, "--to", f"{folder}/{name}", "--set", "seed=1", "--json"])
            modules = json.loads(output)["modules"]
            kept = [1 - module["discarded_energy"] for module in modules]
            # The norm is that of what was stored.
            energies = [m["frobenius"] ** 2 / max(k, 1e-300) for m, k in zip(modules, kept)]
            whole = sum(e * k for e, k in zip(energies, kept)) / sum(energies)
            ranks = sorted({module["rank_out"] for module in modules})
            rank = f"{ranks[0]}–{ranks[-1]}" if len(ranks) > 1 else f"{ranks[0]}"
            print(f"| `{name}` | {kind} | {seconds:.2f} | {peak / 2**20:.0f} | {rank} | {percent(min(kept))} | {percent(whole)} |")


if __name__ == "__main__":
    main()
