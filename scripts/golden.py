#!/usr/bin/env python3
"""Golden results of other programs through the command line, with the recipes that a user would write.

    scripts/golden.py GOLDEN_DIR [--program .build/release/lorabank] [--only TEXT] [--keep DIR]

GOLDEN_DIR has cases/, expected/, adapters/ and dense/ (see the README there). Needs numpy. Prints one line per case;
ends with status 1 when one differs. Two cases have no unique answer and are left out by name: see LEFT_OUT.
"""
import argparse
import itertools
import json
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np

LEFT_OUT = {
    "tsvm_lora": "depends on the null vectors of one LAPACK; tsvm_lora_rank has a unique answer",
    "iso_c_lora": "depends on the null vectors of one LAPACK; iso_c_lora_rank has a unique answer",
}


def read(path):
    with open(path, "rb") as f:
        size = struct.unpack("<Q", f.read(8))[0]
        head = json.loads(f.read(size))
        body = f.read()
    kinds = {"F32": np.float32, "F64": np.float64, "F16": np.float16, "U8": np.uint8}
    head.pop("__metadata__", None)
    return {k: np.frombuffer(body[v["data_offsets"][0]:v["data_offsets"][1]], kinds[v["dtype"]])
            .reshape(v["shape"]).astype(np.float64) for k, v in head.items()}


def write(path, tensors):
    head, body = {}, b""
    for k, v in sorted(tensors.items()):
        raw = np.ascontiguousarray(v, np.float32).tobytes()
        head[k] = {"dtype": "F32", "shape": list(v.shape), "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + body)


class Golden:
    def __init__(self, folder, program, work):
        self.folder, self.program, self.work = os.path.abspath(folder), program, work
        dense = {n: read(f"{folder}/dense/{n}.safetensors") for n in json.load(open(f"{folder}/spec.json"))["dense"]}
        self.models = {}
        for name, tensors in dense.items():
            for model, value in tensors.items():
                self.models.setdefault(model, {})[name] = value

    def call(self, *arguments):
        found = subprocess.run([self.program, *arguments], capture_output=True, text=True, cwd=self.work)
        if found.returncode != 0:
            raise RuntimeError(found.stderr.strip().split("\n")[-1] or f"exit {found.returncode}")
        return found

    def adapter(self, name):
        return f"{self.folder}/adapters/{name}"

    def checkpoint(self, case, model):
        """A file with the tensors of a model that the case has."""
        folder = f"{self.work}/{case['id']}"
        os.makedirs(folder, exist_ok=True)
        names = [os.path.basename(p).split(".")[0] for p in case["inputs"]["dense"]]
        path = f"{folder}/{model}.safetensors"
        write(path, {n: self.models[model][n] for n in names if model in self.models and n in self.models[model]})
        return path

    def merge(self, case, recipe):
        path = f"{self.work}/{case['id']}.yaml"
        json.dump(recipe, open(path, "w"), indent=1)          # JSON is YAML
        dense = "dense" in case["inputs"]
        out = f"{self.work}/{case['id']}-out" + (".safetensors" if dense else "")
        self.call("merge", path, "--to", out)
        return read(out) if dense else self.updates(out)

    def updates(self, folder):
        tensors = read(folder + "/adapter_model.safetensors")
        config = json.load(open(folder + "/adapter_config.json"))
        result = {}
        for key in tensors:
            if ".lora_A." not in key:
                continue
            module = key.replace("base_model.model.", "").replace(".lora_A.weight", "")
            a, b = tensors[key], tensors[key.replace("lora_A", "lora_B")]
            ranks, alphas = config.get("rank_pattern") or {}, config.get("alpha_pattern") or {}
            pick = lambda d, default: next((v for k, v in d.items() if module == k.lstrip("^").rstrip("$").replace("\\.", ".")
                                            or module.endswith("." + k)), default)
            r, alpha = pick(ranks, config["r"]), pick(alphas, config["lora_alpha"])
            assert r == a.shape[0], (module, r, a.shape)
            result[module + ".lora_A"], result[module + ".lora_B"] = a, b
            result[module + ".delta"] = result[module] = alpha / r * b @ a
        return result

    # ---- recipes by kind of case
    def fold(self, case):
        out = f"{self.work}/{case['id']}.safetensors"
        self.call("bake", self.adapter(case["inputs"]["adapters"][0]), "--base",
                  f"{self.folder}/{case['inputs']['base']}", "--to", out)
        return read(out)

    def peft(self, case, expected):
        kind = case["call"].split("'")[1]
        p = case["params"]
        shared = {k: p[k] for k in ("density", "svd_rank", "svd_clamp", "majority_sign_method") if k in p}
        if any(k.startswith("mask.") for k in expected):
            shared["mask_file"] = f"{self.folder}/{case['expected']}"
        recipe = {"merge_method": kind, "compat": "peft", "parameters": shared,
                  "models": [{"model": self.adapter(n), "parameters": {"weight": w}}
                             for n, w in zip(case["inputs"]["adapters"], p["weights"])]}
        if "mask_file" in shared:
            recipe["seed"] = 1
        return self.merge(case, recipe)

    def mergekit(self, case, expected):
        method = case["call"].split("'")[1]
        names = case["inputs"]["models"]
        shared, own = {}, {}
        for key, value in (case["params"]["parameters"] or {}).items():
            (own if isinstance(value, list) else shared)[key] = value
        live = [n for n in names if n != "base"]
        listed = names if method == "slerp" else live
        if any(k.startswith("mask.") for k in expected):
            shared["mask_file"] = f"{self.folder}/{case['expected']}"
        models = []
        for name in listed:
            entry = {"model": self.checkpoint(case, name)}
            if own and name in live:
                entry["parameters"] = {k: v[live.index(name)] for k, v in own.items()}
            models.append(entry)
        recipe = {"merge_method": method, "compat": "mergekit", "models": models, "parameters": shared}
        if "base" in names:
            recipe["base_model"] = self.checkpoint(case, "base")
        if "mask_file" in shared:
            recipe["seed"] = 1
        return self.merge(case, recipe)

    def vectors(self, case, recipe):
        """A merge of task vectors: of adapters, or of checkpoints less their base."""
        if "adapters" in case["inputs"]:
            recipe["models"] = [{"model": self.adapter(n)} for n in case["inputs"]["adapters"]]
            recipe["output"] = {"rank": "keep"}
            return self.merge(case, recipe)
        recipe["models"] = [{"model": self.checkpoint(case, n)} for n in case["inputs"]["models"]]
        recipe["base_model"] = self.checkpoint(case, "base")
        base = read(recipe["base_model"])
        return {k: v - base[k] for k, v in self.merge(case, recipe).items()}

    def found(self, case, expected):
        id, p = case["id"], case["params"]
        if id.startswith("fold_"):
            return self.fold(case)
        if id.startswith("peft_"):
            return self.peft(case, expected)
        if id.startswith("mk_"):
            return self.mergekit(case, expected)
        if id.startswith("tsvm_"):
            return self.vectors(case, {"merge_method": "tsv_m", "parameters": {"k": "paper"}})
        if id.startswith("iso_cts_"):
            return self.vectors(case, {"merge_method": "iso_cts", "parameters": {
                "common_space_fraction": p["common_space_fraction"], "dimensions": "min_dim"}})
        if id.startswith("iso_c_"):
            over = "rank" if id.endswith("_rank") else "min_dim"
            return self.vectors(case, {"merge_method": "iso_c", "parameters": {"mean_over": over}})
        if id == "knots_sum":
            return self.vectors(case, {"merge_method": "knots_ta"})
        ties = {"density": p["top_percent"] / 100, "reduce": p["merge_func"]}
        method = "knots_ties" if id.startswith("knots_") else "ties"
        return self.vectors(case, {"merge_method": method, "compat": "reference", "parameters": ties})

    # ---- comparison
    def check(self, case):
        expected = read(f"{self.folder}/{case['expected']}")
        found = self.found(case, expected)
        if "svd_clamp" in case["params"]:
            return self.clamped(case, found)
        # The library's scaling of the merged adapter is a defect where it is not 1.
        scaling = case["params"].get("library_scaling", 1.0)
        worst = 0.0
        for key, value in expected.items():
            if key.startswith("mask.") or key.endswith(".singular_values"):
                continue
            if key.endswith(".delta"):
                value = value / scaling
            if key not in found:
                raise RuntimeError(f"'{key}' is missing")
            if found[key].shape != value.shape:
                raise RuntimeError(f"'{key}' has shape {found[key].shape}, not {value.shape}")
            limit = case["atol"] + case["rtol"] * np.abs(value).max()
            worst = max(worst, np.abs(found[key] - value).max() / limit)
        return worst

    def clamped(self, case, found):
        """Every choice of signs of the singular vectors gives another limit; ours has to be one of them."""
        adapters = [self.source(n) for n in case["inputs"]["adapters"]]
        worst = 0.0
        for module in adapters[0]:
            total = sum(w * a[module] for w, a in zip(case["params"]["weights"], adapters))
            rank = found[module + ".lora_A"].shape[0]
            u, s, vt = np.linalg.svd(total.astype(np.float32), full_matrices=False)
            best = np.inf
            for signs in itertools.product((1, -1), repeat=rank):
                b, a = u[:, :rank] * s[:rank] * signs, vt[:rank] * np.array(signs)[:, None]
                h = np.quantile(np.concatenate([b.ravel(), a.ravel()]).astype(np.float32), case["params"]["svd_clamp"])
                delta = np.clip(b, -h, h) @ np.clip(a, -h, h)
                best = min(best, np.abs(found[module + ".delta"] - delta).max() / (
                    case["atol"] + case["rtol"] * np.abs(delta).max()))
            worst = max(worst, best)
        return worst

    def source(self, name):
        """The dense updates of an adapter of the set."""
        tensors = read(self.adapter(name) + "/adapter_model.safetensors")
        config = json.load(open(self.adapter(name) + "/adapter_config.json"))
        result = {}
        for key in tensors:
            if ".lora_A." in key:
                module = key.replace("base_model.model.", "").replace(".lora_A.weight", "")
                last = module.rsplit(".", 1)[-1]
                r = config["rank_pattern"].get(last, config["r"])
                alpha = config["alpha_pattern"].get(last, config["lora_alpha"])
                scale = alpha / (r ** 0.5 if config.get("use_rslora") else r)
                result[module] = scale * tensors[key.replace("lora_A", "lora_B")] @ tensors[key]
        return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--program", default=".build/release/lorabank")
    parser.add_argument("--only", default="")
    parser.add_argument("--keep")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.keep or temporary
        os.makedirs(work, exist_ok=True)
        golden = Golden(options.folder, os.path.abspath(options.program), work)
        passed, failed = 0, []
        for name in sorted(os.listdir(options.folder + "/cases")):
            case = json.load(open(f"{options.folder}/cases/{name}"))
            if options.only not in case["id"]:
                continue
            if case["id"] in LEFT_OUT:
                print(f"left out  {case['id']}: {LEFT_OUT[case['id']]}")
                continue
            try:
                share = golden.check(case)
                good = share <= 1
                print(f"{'ok' if good else 'DIFFERS':8}  {case['id']}  {share:.3g} of the tolerance")
            except (RuntimeError, KeyError) as error:
                good = False
                print(f"FAILED    {case['id']}: {error}")
            passed += good
            failed += [] if good else [case["id"]]
        print(f"{passed} passed, {len(failed)} failed")
        return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
