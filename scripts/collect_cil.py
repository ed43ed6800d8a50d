#!/usr/bin/env python3
"""Copy the results of class-incremental studies and write their tables (standard library only).

    scripts/collect_cil.py WORK RESULTS [SUMMARY]      e.g. .build/study-cil docs/results/cil docs/results.md

WORK/STUDY/runs/SETTING/seed-N/result.json is copied, without machine paths, to RESULTS/STUDY/SETTING/seed-N.json; all
tables go to RESULTS.md. One table per study goes into SUMMARY between its marks. Differences are paired by seed; intervals are 95 %, Student's t.
"""
import glob
import json
import os
import sys

T95 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228]
KEPT = ["schema", "structure", "rule", "head", "seeds", "accuracy_matrix", "last", "avg_incremental", "forgetting",
        "bwt", "heads", "invariants", "leaky", "seconds"]
ORDER = ["backbone", "joint", "first-task", "single", "single-ema", "independent", "chain", "moe-v0", "parallel", "pam"]


def statistics(values):
    n = len(values)
    if n == 0:
        return None, None, None
    mean = sum(values) / n
    if n < 2:
        return mean, None, None
    sd = (sum((v - mean) ** 2 for v in values) / (n - 1)) ** 0.5
    return mean, sd, T95[min(n - 2, len(T95) - 1)] * sd / n**0.5


def percent(value, sign=False):
    return "–" if value is None else f"{100 * value:+.2f}" if sign else f"{100 * value:.2f}"


def copy(work, target):
    for path in sorted(glob.glob(os.path.join(work, "*", "runs", "*", "seed-*", "result.json"))):
        parts = path[len(work):].strip(os.sep).split(os.sep)
        with open(path) as file:
            document = json.load(file)
        kept = {key: document[key] for key in KEPT if key in document}
        out = os.path.join(target, parts[0], parts[2], parts[3] + ".json")
        os.makedirs(os.path.dirname(out), exist_ok=True)
        with open(out, "w") as file:
            file.write(json.dumps(kept, indent=1) + "\n")


def load(target):
    studies = {}
    for path in sorted(glob.glob(os.path.join(target, "*", "*", "seed-*.json"))):
        study, setting, name = path[len(target):].strip(os.sep).split(os.sep)
        with open(path) as file:
            studies.setdefault(study, {}).setdefault(setting, {})[int(name[5:-5])] = json.load(file)
    return studies


def rank(setting):
    for place, name in enumerate(ORDER):
        if setting == name or setting.startswith((name + "_", name + "+")):
            return place, setting
    return len(ORDER), setting


def title(setting):
    """`chain_ta` is a structure and a rule; the recipe of `independent+tsv_m` keeps its name."""
    return setting if "+" in setting else setting.replace("_", " / ")


def table(settings, head):
    value = lambda run, key: run.get("heads", {}).get(head, {}).get(key)
    base = {seed: value(run, "last") for seed, run in settings.get("backbone", {}).items()}
    lines = ["| setting | seeds | last % | ± sd | avg. incremental % | ± sd | forgetting | last − backbone | 95 % interval |",
             "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |"]
    for setting in sorted(settings, key=rank):
        runs = settings[setting]
        def column(key):
            return [v for v in (value(runs[s], key) for s in sorted(runs)) if v is not None]
        last, last_sd, _ = statistics(column("last"))
        average, average_sd, _ = statistics(column("avg_incremental"))
        lost, _, _ = statistics(column("forgetting"))
        pairs = [value(runs[s], "last") - base[s] for s in sorted(runs) if base.get(s) is not None
                 and value(runs[s], "last") is not None] if setting != "backbone" else []
        gain, _, half = statistics(pairs)
        interval = "–" if half is None else f"{percent(gain - half, True)} … {percent(gain + half, True)}"
        lines.append(
            f"| {title(setting)} | {len(runs)} | {percent(last)} | {percent(last_sd)} | "
            f"{percent(average)} | {percent(average_sd)} | {percent(lost)} | {percent(gain, True)} | {interval} |")
    return lines


def summary(studies):
    """One table per study: last / average incremental accuracy under each head, and the gain under the last head."""
    lines = []
    for study in sorted(studies):
        settings = studies[study]
        heads = sorted({head for runs in settings.values() for run in runs.values() for head in run.get("heads", {})})
        chief = heads[-1]
        base = {seed: run["heads"][chief]["last"] for seed, run in settings.get("backbone", {}).items()}
        lines += ["", f"**{study}**", "",
                  f"| setting | seeds | {' | '.join(heads)} | {chief}, last − backbone, 95 % |",
                  "| --- | ---: |" + " --- |" * (len(heads) + 1)]
        for setting in sorted(settings, key=rank):
            runs = settings[setting]
            cells = []
            for head in heads:
                found = [run["heads"][head] for run in runs.values() if head in run.get("heads", {})]
                cells.append(" / ".join(percent(statistics([entry[key] for entry in found])[0])
                                        for key in ("last", "avg_incremental")))
            pairs = [run["heads"][chief]["last"] - base[seed] for seed, run in runs.items() if seed in base]
            gain, _, half = statistics(pairs if setting != "backbone" and len(pairs) > 2 else [])
            cells.append("–" if half is None else f"{percent(gain, True)} ± {percent(half)}")
            lines.append(f"| {title(setting)} | {len(runs)} | " + " | ".join(cells) + " |")
    return lines + [""]


def put(path, lines):
    """Between the marks of the file; what stands around them stays."""
    with open(path) as file:
        text = file.read()
    first, last = "<!-- class-incremental studies -->\n", "<!-- end of class-incremental studies -->"
    head, found, rest = text.partition(first)
    body, closed, tail = rest.partition(last)
    if not found or not closed:
        sys.exit(f"{path} has no marks for the tables of the class-incremental studies")
    with open(path, "w") as file:
        file.write(head + first + "\n".join(lines) + "\n" + last + tail)


def main(work, target, page=None):
    copy(work, target)
    studies = load(target)
    lines = ["# Class-incremental studies", "",
             "Written by `scripts/collect_cil.py` from the result files beside it, one per setting and seed. One head for",
             "all classes, no task id at inference. `last` is the accuracy over all test samples after the last task,",
             "`avg. incremental` the mean over tasks. Differences are to the frozen backbone **under the same head**, paired",
             "by seed. Several rows were tried: the best one is not an unbiased result. Rows with fewer than three seeds",
             "are not ranked."]
    for study in sorted(studies):
        settings = studies[study]
        heads = []
        for runs in settings.values():
            for run in runs.values():
                heads += [head for head in run.get("heads", {}) if head not in heads]
        failed = sum(run.get("invariants", {}).get("failed", 0) for runs in settings.values() for run in runs.values())
        count = sum(len(runs) for runs in settings.values())
        lines += ["", f"## {study}", "", f"Configuration `recipes/cil/study/{study}.yaml`; {count} runs of {len(settings)} settings;"
                  f" {failed} failed invariants."]
        for head in heads:
            lines += ["", f"### Head {head}", ""] + table(settings, head)
    with open(target + ".md", "w") as file:
        file.write("\n".join(lines) + "\n")
    if page:
        put(page, summary(studies))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(sys.argv[1].rstrip("/"), sys.argv[2].rstrip("/"), *sys.argv[3:])
