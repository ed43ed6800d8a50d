#!/usr/bin/env python3
"""Runs the reference study and writes docs/results.md: python3 scripts/study.py LORABANK SHARED RESULTS [MINILM]

LORABANK is the built program; SHARED holds adapters, backbones and data with reference numbers; MINILM is the folder of
the MiniLM encoder (without it the text study is left out). Everything runs with the ordinary commands, which are printed
and written beside each number. Ends with 1 when a number is further from the reference than it may be.
"""
import json, os, shutil, subprocess, sys, tempfile

MERGES = ["uniform_average", "task_arithmetic", "ties", "knots_ties", "tsv_m", "iso_c"]
TRIMMED = {"ties", "knots_ties"}


class Study:
    def __init__(self, program, shared, folder):
        self.program, self.shared, self.folder = program, shared, folder
        self.lines, self.bad = [], 0
        self.call("init", "bank")

    def call(self, *arguments):
        print("lorabank " + " ".join(arguments).replace(self.shared, "SHARED"), flush=True)
        done = subprocess.run([self.program, *arguments], cwd=self.folder, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"ended with {done.returncode}")
        return done.stdout

    def prepare(self, kind, path, name):
        self.call(kind, "import", path, "--name", name, "--link")

    def adapters(self, folder, names, set_tag, task_key):
        for name in names:
            self.call("import", f"{folder}/{name}", "--tag", f"set={set_tag}", "--tag", f"{task_key}={name}", "-q")

    def run(self, title, set_tag, suite, expected, task_key, names):
        results = expected["results"]
        recipes = [m for m in MERGES if os.path.exists(f"{self.folder}/recipes/reference/{set_tag}/{m}.yaml")]
        command = ["eval", *names, "--suite", f"recipes/suites/{suite}", "--backbone"]
        for recipe in recipes:
            command += ["--recipe", f"recipes/reference/{set_tag}/{recipe}.yaml"]
        command += ["--oracle", f"tag:{task_key}"]
        document = json.loads(self.call(*command, "--json"))
        entries = ["base"] + ["single_" + n for n in names] + recipes + ["oracle"]
        self.lines += [f"## {title}", "", f"{document['n']} test samples. Global accuracy counts every class, local "
                       "accuracy only those of the sample's own task.", "",
                       "| entry | global % | reference | local % | reference | 95 % interval (global) | command |",
                       "| --- | --- | --- | --- | --- | --- | --- |"]
        for entry, row in zip(entries, document["results"], strict=True):
            reference = results[entry]
            limit = 0.15 if entry in TRIMMED else 0.10
            for key in ("acc_global", "acc_local"):
                distance = abs(row[key] - reference[key]) * 100
                if distance > limit + 1e-9:
                    self.bad += 1
                    print(f"{entry}: {key} is {distance:.2f} points from the reference")
            what = {"base": "--backbone", "oracle": f"--oracle tag:{task_key}"}.get(
                entry, entry.removeprefix("single_") if entry.startswith("single_")
                else f"--recipe recipes/reference/{set_tag}/{entry}.yaml")
            self.lines.append(
                f"| {entry} | {row['acc_global'] * 100:.2f} | {reference['acc_global'] * 100:.2f} | "
                f"{row['acc_local'] * 100:.2f} | {reference['acc_local'] * 100:.2f} | "
                f"{row['ci_low'] * 100:.2f}–{row['ci_high'] * 100:.2f} | "
                f"`eval {what} --suite recipes/suites/{suite}` |")
        seconds = document["seconds"]
        rate = document["n"] * len(document["results"]) / seconds
        self.lines += ["", f"All of it in one command: {seconds:.0f} s, {rate:.0f} samples per second and subject.", ""]
        missing = [m for m in MERGES if m not in recipes]
        if missing:
            self.lines += ["Not measured: " + ", ".join(missing) + ".", ""]

    def prototype(self, suite, reference):
        document = json.loads(self.call("eval", "--suite", f"recipes/suites/{suite}", "--json"))
        row = document["results"][0]
        if abs(row["acc_global"] - reference["acc_global"]) > 0.001 + 1e-9:
            self.bad += 1
            print("the prototype head is off")
        self.lines += [f"The backbone with the prototype head (`eval --suite recipes/suites/{suite}`): "
                       f"{row['acc_global'] * 100:.2f} global, {row['acc_local'] * 100:.2f} local; reference "
                       f"{reference['acc_global'] * 100:.2f} and {reference['acc_local'] * 100:.2f}.", ""]


def expected(shared, name):
    with open(f"{shared}/adapters/{name}/expected.json") as file:
        return json.load(file)


def main():
    program, shared, results = (os.path.abspath(p) for p in sys.argv[1:4])
    minilm = os.path.abspath(sys.argv[4]) if len(sys.argv) > 4 and sys.argv[4] else None
    repository = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    folder = tempfile.mkdtemp(prefix="lorabank-study-")
    try:
        os.symlink(f"{repository}/recipes", f"{folder}/recipes")
        study = Study(program, shared, folder)
        study.lines = [
            "# Results", "",
            "Written by `make study`. References: the numbers that PEFT-trained adapters gave with torch on the same files",
            "(dense merges in double precision). Allowed distance: 0.10 points, 0.15 for the methods that trim by",
            "magnitude, where entries at the threshold may fall either way. Every command ran in a fresh bank, after", "",
            "```", "lorabank backbone import vit-tiny28 --name vit-tiny28", "lorabank data import mnist --name mnist",
            "lorabank import vit-mnist/task0 --tag set=vit-mnist --tag task=task0     # and task1 … task4", "```", ""]
        study.prepare("backbone", f"{shared}/backbones/vit-tiny28", "vit-tiny28")
        study.prepare("data", f"{shared}/data/mnist", "mnist")
        tasks = [f"task{i}" for i in range(5)]
        study.adapters(f"{shared}/adapters/vit-mnist", tasks, "vit-mnist", "task")
        study.run("Digits: five adapters on vit-tiny28", "vit-mnist", "mnist-vit.yaml", expected(shared, "vit-mnist"),
                  "task", tasks)
        if minilm:
            study.prepare("backbone", minilm, "minilm")
            study.prepare("data", f"{shared}/data/clinc150", "clinc150")
            reference = expected(shared, "minilm-clinc150")
            study.adapters(f"{shared}/adapters/minilm-clinc150", reference["domains"], "clinc150", "domain")
            study.run("Requests: ten adapters on MiniLM", "clinc150", "clinc150-minilm.yaml", reference, "domain",
                      reference["domains"])
            study.prototype("clinc150-minilm-prototype.yaml", reference["results"]["base"]["prototype_head"])
        # What other studies wrote behind their marks stays.
        kept = ""
        if os.path.exists(results):
            content = open(results).read()
            kept = "\n" + content[content.index("<!-- "):] if "<!-- " in content else ""
        with open(results, "w") as file:
            file.write("\n".join(study.lines).rstrip() + "\n" + kept)
        print("wrote " + results)
        return 1 if study.bad else 0
    finally:
        shutil.rmtree(folder)


sys.exit(main())
