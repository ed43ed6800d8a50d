#!/usr/bin/env python3
"""Recompute the metrics of a class-incremental run from predictions.csv alone (standard library only).

    scripts/cil_metrics.py RUN            print them as JSON
    scripts/cil_metrics.py --check RUN    compare with RUN/metrics.json; exit 1 on any difference above 1e-9

RUN is a run directory, or one that holds seed-*/ directories. It shares no code with the program. What predictions do
not tell (fwt, intransigence, head_norms) is left out.
"""
import csv
import glob
import json
import os
import sys


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else None


def share(rows, test):
    rows = list(rows)
    return sum(1 for row in rows if test(row)) / len(rows) if rows else None


def compute(path):
    with open(path, newline="") as file:
        rows = [
            {key: float(value) if key == "top_logit" else int(value) for key, value in row.items()}
            for row in csv.DictReader(file)
        ]
    tasks = max(row["after_task"] for row in rows) + 1
    task_of = {row["true"]: row["task"] for row in rows}
    steps = [[row for row in rows if row["after_task"] == i] for i in range(tasks)]
    right = lambda row: row["predicted"] == row["true"]
    a = [
        [share((r for r in steps[i] if r["task"] == j), right) if j <= i else None for j in range(tasks)]
        for i in range(tasks)
    ]
    end = tasks - 1
    last = steps[end]

    def forgetting(i):
        return mean(max(a[k][j] for k in range(j, i)) - a[i][j] for j in range(i)) if i >= 1 else None

    n_test = [sum(1 for r in last if r["task"] == j) for j in range(tasks)]
    acc_seen = [share(step, right) for step in steps]
    acc_task_mean = [mean(a[i][: i + 1]) for i in range(tasks)]
    old = share((r for r in last if r["task"] < end), right)
    new = share((r for r in last if r["task"] == end), right)
    harmonic = None if old is None or new is None else (2 * old * new / (old + new) if old + new > 0 else 0.0)
    recency = lambda step, i: share(step, lambda r: task_of[r["predicted"]] == i)
    drops = [a[j][j] - a[end][j] for j in range(end)]
    confusion = [[0] * tasks for _ in range(tasks)]
    for r in last:
        confusion[r["task"]][task_of[r["predicted"]]] += 1
    result = {
        "tasks": tasks,
        "n_test": n_test,
        "accuracy_matrix": a,
        "acc_seen": acc_seen,
        "acc_task_mean": acc_task_mean,
        "last": acc_seen[end],
        "avg_incremental": mean(acc_seen),
        "last_task_mean": acc_task_mean[end],
        "avg_incremental_task_mean": mean(acc_task_mean),
        "forgetting": forgetting(end),
        "forgetting_clipped": mean(max(a[k][j] for k in range(j, tasks)) - a[end][j] for j in range(end)),
        "forgetting_first": mean(drops),
        "forgetting_curve": [forgetting(i) for i in range(tasks)],
        "bwt": None if not drops else -mean(drops),
        "old_acc": old,
        "new_acc": new,
        "harmonic_mean": harmonic,
        "class_balanced_acc": mean(
            share((r for r in last if r["true"] == c), right) for c in sorted({r["true"] for r in last})
        ),
        "recency_rate": recency(last, end),
        "recency_bias": recency(last, end) - n_test[end] / len(last),
        "task_id_acc": share(last, lambda r: task_of[r["predicted"]] == r["task"]),
        "recency_rate_curve": [recency(step, i) for i, step in enumerate(steps)],
        "task_confusion": confusion,
        "mean_top_logit": [mean(r["top_logit"] for r in last if r["task"] == j) for j in range(tasks)],
    }
    if "predicted_within" in last[0]:
        result["within_task_acc"] = share(last, lambda r: r["predicted_within"] == r["true"])
    return result


def differences(found, stored, place):
    if isinstance(found, list) and isinstance(stored, list) and len(found) == len(stored):
        for index, (x, y) in enumerate(zip(found, stored)):
            yield from differences(x, y, f"{place}[{index}]")
    elif isinstance(found, (int, float)) and isinstance(stored, (int, float)):
        if abs(found - stored) > 1e-9:
            yield f"{place}: {stored} in the file, {found} from the predictions"
    elif found != stored:
        yield f"{place}: {stored} in the file, {found} from the predictions"


def main(arguments):
    check = "--check" in arguments
    folders = [a for a in arguments if not a.startswith("--")]
    if len(folders) != 1:
        sys.exit(__doc__)
    found = glob.glob(os.path.join(folders[0], "**/predictions.csv"), recursive=True)
    # The parts that a run keeps beside its checkpoints have no heading; they stand in the whole file, too.
    runs = sorted(os.path.dirname(p) for p in found if "checkpoints" not in p.split(os.sep))
    if not runs:
        sys.exit(f"no predictions.csv below {folders[0]}")
    wrong = 0
    results = {}
    for run in runs:
        found = compute(os.path.join(run, "predictions.csv"))
        results[run] = found
        if check:
            with open(os.path.join(run, "metrics.json")) as file:
                stored = json.load(file)
            missing = [f"{key} is missing in the file" for key in found if key not in stored]
            bad = missing + [d for k in found if k in stored for d in differences(found[k], stored[k], k)]
            wrong += len(bad)
            for line in bad:
                print(f"{run}: {line}")
            if not bad:
                print(f"{run}: {len(found)} metrics agree")
    if not check:
        print(json.dumps(results if len(results) > 1 else next(iter(results.values())), indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
