#!/usr/bin/env python3
"""Loads what lorabank writes with the real peft library and compares the updates: interop.py PROGRAM

The adapters of bank/starter are merged by several methods. Each result is loaded by `PeftModel.from_pretrained` onto a
model of the right shapes; the update that peft then applies to every module must agree with the update computed from
lorabank's own files, and for `linear` also with the weighted sum of the originals computed here. With `compat: peft` the
result must be that of peft's own `add_weighted_adapter`.
"""
import json
import os
import subprocess
import sys
import tempfile

import torch
from peft import PeftModel
from safetensors.torch import load_file

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STARTER = os.path.join(ROOT, "bank", "starter", "adapters")
TOLERANCE = 1e-5


def shapes(folder):
    """Module name -> (out, in), from the weights."""
    weights = load_file(os.path.join(folder, "adapter_model.safetensors"))
    found = {}
    for key, tensor in weights.items():
        name = key.removeprefix("base_model.model.")
        if name.endswith(".lora_A.weight"):
            found.setdefault(name.removesuffix(".lora_A.weight"), [0, 0])[1] = tensor.shape[1]
        elif name.endswith(".lora_B.weight"):
            found.setdefault(name.removesuffix(".lora_B.weight"), [0, 0])[0] = tensor.shape[0]
    return found


class Stub(torch.nn.Module):
    """A model that has the adapted linear layers and nothing else; all weights are zero."""

    def __init__(self, layers):
        super().__init__()
        self.config = {"model_type": "stub"}
        for name, (rows, columns) in layers.items():
            parent = self
            *path, last = name.split(".")
            for part in path:
                if not hasattr(parent, part):
                    parent.add_module(part, torch.nn.Module())
                parent = getattr(parent, part)
            layer = torch.nn.Linear(columns, rows, bias=False)
            torch.nn.init.zeros_(layer.weight)
            parent.add_module(last, layer)


def peft_deltas(folder):
    """What peft adds to each module."""
    layers = shapes(folder)
    model = PeftModel.from_pretrained(Stub(layers), folder)
    merged = model.merge_and_unload()
    return {name: merged.get_submodule(name).weight.detach().double() for name in layers}


def own_deltas(folder):
    """scale * B @ A from the files alone."""
    weights = load_file(os.path.join(folder, "adapter_model.safetensors"))
    with open(os.path.join(folder, "adapter_config.json"), encoding="utf-8") as file:
        config = json.load(file)
    deltas = {}
    for name in shapes(folder):
        a = weights[f"base_model.model.{name}.lora_A.weight"].double()
        b = weights[f"base_model.model.{name}.lora_B.weight"].double()
        rank = a.shape[0]
        alpha = next((v for k, v in config.get("alpha_pattern", {}).items() if name.endswith(k.removeprefix("^"))), config["lora_alpha"])
        deltas[name] = (alpha / rank) * (b @ a)
    return deltas


def peft_weighted(paths, weights, **options):
    """What peft's own add_weighted_adapter makes of the adapters."""
    layers = shapes(paths[0])
    model = PeftModel.from_pretrained(Stub(layers), paths[0], adapter_name="a0")
    for index, path in enumerate(paths[1:], 1):
        model.load_adapter(path, f"a{index}")
    names = [f"a{index}" for index in range(len(paths))]
    model.add_weighted_adapter(names, weights, "merged", **options)
    return {name: model.base_model.model.get_submodule(name).get_delta_weight("merged").detach().double() for name in layers}


def worst(left, right):
    assert left.keys() == right.keys(), "the modules differ"
    return max((left[k] - right[k]).norm().item() / max(right[k].norm().item(), 1e-12) for k in left)


def main():
    program = os.path.abspath(sys.argv[1])
    names = sorted(os.listdir(STARTER))
    paths = [os.path.join(STARTER, name) for name in names]
    originals = [peft_deltas(path) for path in paths]
    failures = 0
    with tempfile.TemporaryDirectory() as work:
        for method in ["linear", "task_arithmetic", "svd", "cat", "ties", "tsv_m"]:
            target = os.path.join(work, method)
            command = [program, "-q", "merge", "--method", method, *paths, "--to", target, "--seed", "1"]
            if method == "ties":
                command += ["--set", "density=0.5"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            loaded = peft_deltas(target)
            error = worst(loaded, own_deltas(target))
            note = ""
            if method == "linear":
                weight = 1 / len(paths)
                expected = {k: sum(weight * o[k] for o in originals) for k in originals[0]}
                total = {k: sum(o[k] for o in originals) for k in originals[0]}
                error = max(error, min(worst(loaded, expected), worst(loaded, total)))
                note = " (and with the sum of the originals)"
            verdict = "agrees" if error <= TOLERANCE else "DIFFERS"
            failures += error > TOLERANCE
            print(f"{method:24} {verdict}: peft's updates against lorabank's files, relative error {error:.1e}{note}")
        weights = [1.0, 0.5, -0.25, 0.75, 1.0]
        recipe = os.path.join(work, "peft.json")
        for kind, options in [
            ("linear", {}), ("cat", {}), ("svd", {"svd_rank": 8}), ("ties", {"density": 0.5}),
            ("ties_svd", {"density": 0.5, "svd_rank": 8}), ("magnitude_prune", {"density": 0.5}),
            ("magnitude_prune_svd", {"density": 0.5, "svd_rank": 8}),
        ]:
            models = [{"model": path, "parameters": {"weight": weight}} for path, weight in zip(paths, weights)]
            with open(recipe, "w", encoding="utf-8") as file:
                json.dump({"merge_method": kind, "compat": "peft", "models": models, "parameters": options}, file)
            target = os.path.join(work, "peft-" + kind)
            subprocess.run([program, "-q", "merge", recipe, "--to", target], check=True, stdout=subprocess.DEVNULL)
            error = worst(peft_deltas(target), peft_weighted(paths, weights, combination_type=kind, **options))
            failures += error > TOLERANCE
            verdict = "agrees" if error <= TOLERANCE else "DIFFERS"
            print(f"{'peft ' + kind:24} {verdict}: compat: peft against add_weighted_adapter, relative error {error:.1e}")
        bank = os.path.join(work, "bank")
        subprocess.run([program, "-q", "init", bank], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([program, "-q", "--bank", bank, "import", paths[0]], check=True, stdout=subprocess.DEVNULL)
        exported = os.path.join(work, "exported")
        subprocess.run([program, "-q", "--bank", bank, "export", names[0], "--to", exported], check=True, stdout=subprocess.DEVNULL)
        error = worst(peft_deltas(exported), originals[0])
        failures += error > 0
        print(f"{'export':24} {'agrees' if error == 0 else 'DIFFERS'}: relative error {error:.1e}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
