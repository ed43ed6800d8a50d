#!/usr/bin/env python3
"""Measures merges beside peft and mergekit on the same files in one run and prints a table with ratios.

usage: bench_merge.py LORABANK [--peft PYTHON] [--mergekit PYTHON] [--case NAME]... [--pairs N] [--folder DIR]
           [--layers N] [--gib G] [--threads N] [--json FILE] [--markdown FILE]

Adapters are made up: 8 of rank 16 in bf16 with the shapes of Llama-3-8B (--layers of its 32), models of --gib GiB in
bf16. Both sides take turns, one process each per measurement. Of lorabank the wall time of the whole command counts,
from start to the files on the disk. Of the peers three times are given: `merge` the call alone, `whole` with reading
the adapters or models and writing the result, both without the start of Python and its imports (those are in neither).
The ratio is peer's `whole` / lorabank, medians over the pairs. Memory is the peak of each process. What is not installed
is left out with a note. Merges of hours (peft's svd on all modules) are measured on one module and marked.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time

PROJECTIONS = [
    ("self_attn.q_proj", 4096, 4096), ("self_attn.k_proj", 1024, 4096), ("self_attn.v_proj", 1024, 4096),
    ("self_attn.o_proj", 4096, 4096), ("mlp.gate_proj", 14336, 4096), ("mlp.up_proj", 14336, 4096),
    ("mlp.down_proj", 4096, 14336),
]
ADAPTERS, RANK = 8, 16


def modules(shape, layers):
    if shape == "square":
        return [("model.layers.0.self_attn.q_proj", 4096, 4096)]
    return [(f"model.layers.{layer}.{name}", rows, columns) for layer in range(layers) for name, rows, columns in PROJECTIONS]


# ---------------------------------------------------------------------------------------------------------------------
# What runs inside a peer's own Python. Each worker prints one line of JSON.


def make_adapters(folder, shape, layers):
    import torch
    from safetensors.torch import save_file

    for index in range(ADAPTERS):
        path = f"{folder}/a{index}"
        os.makedirs(path, exist_ok=True)
        generator = torch.Generator().manual_seed(index)
        tensors = {}
        for name, rows, columns in modules(shape, layers):
            key = "base_model.model." + name
            tensors[key + ".lora_A.weight"] = (0.01 * torch.randn(RANK, columns, generator=generator)).bfloat16()
            tensors[key + ".lora_B.weight"] = (0.01 * torch.randn(rows, RANK, generator=generator)).bfloat16()
        save_file(tensors, path + "/adapter_model.safetensors", metadata={"format": "pt"})
        targets = sorted({name.rsplit(".", 1)[1] for name, _, _ in modules(shape, layers)})
        config = {
            "peft_type": "LORA", "task_type": None, "base_model_name_or_path": "made-up", "r": RANK,
            "lora_alpha": 2 * RANK, "lora_dropout": 0.0, "bias": "none", "target_modules": targets,
            "inference_mode": True,
        }
        with open(path + "/adapter_config.json", "w") as file:
            json.dump(config, file)


def stub(shape, layers, weights=None):
    """A module tree with the linear layers of the shapes; without weights each is one zero seen everywhere."""
    import torch

    root = torch.nn.Module()
    for name, rows, columns in modules(shape, layers):
        parent = root
        parts = name.split(".")
        for part in parts[:-1]:
            if not hasattr(parent, part):
                parent.add_module(part, torch.nn.Module())
            parent = getattr(parent, part)
        linear = torch.nn.Linear(columns, rows, bias=False, device="meta")
        data = weights[name + ".weight"] if weights else torch.zeros(1, 1, dtype=torch.bfloat16).expand(rows, columns)
        linear.weight = torch.nn.Parameter(data, requires_grad=False)
        parent.add_module(parts[-1], linear)
    return root


def peft_merge(folder, out, shape, layers, kind, options):
    import warnings

    import torch
    from peft import PeftModel

    warnings.simplefilter("ignore")
    torch.set_num_threads(options["threads"])
    began = time.perf_counter()
    model = PeftModel.from_pretrained(stub(shape, layers), folder + "/a0", adapter_name="a0")
    for index in range(1, ADAPTERS):
        model.load_adapter(f"{folder}/a{index}", f"a{index}")
    loaded = time.perf_counter()
    names = [f"a{index}" for index in range(ADAPTERS)]
    more = {"density": 0.2} if "ties" in kind or "dare" in kind or "prune" in kind else {}
    model.base_model.add_weighted_adapter(names, [1.0] * ADAPTERS, "merged", combination_type=kind, **more)
    merged = time.perf_counter()
    model.save_pretrained(out, selected_adapters=["merged"])
    return {"merge": merged - loaded, "whole": time.perf_counter() - began}


def peft_bake(folder, out, shape, layers, _, options):
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file, save_file

    torch.set_num_threads(options["threads"])
    began = time.perf_counter()
    weights = load_file(folder + "/base/model.safetensors")
    model = PeftModel.from_pretrained(stub(shape, layers, weights), folder + "/a0", adapter_name="a0")
    loaded = time.perf_counter()
    model = model.merge_and_unload()
    merged = time.perf_counter()
    os.makedirs(out, exist_ok=True)
    save_file(model.state_dict(), out + "/model.safetensors", metadata={"format": "pt"})
    return {"merge": merged - loaded, "whole": time.perf_counter() - began}


def make_base(folder, shape, layers):
    import torch
    from safetensors.torch import save_file

    os.makedirs(folder + "/base", exist_ok=True)
    generator = torch.Generator().manual_seed(99)
    tensors = {
        name + ".weight": (0.02 * torch.randn(rows, columns, generator=generator)).bfloat16()
        for name, rows, columns in modules(shape, layers)
    }
    save_file(tensors, folder + "/base/model.safetensors", metadata={"format": "pt"})


LLAMA = {"hidden_size": 2048, "intermediate_size": 8192, "num_attention_heads": 32, "num_key_value_heads": 8}


def make_models(folder, gib):
    """A base and two tunings of it: a Llama of as many layers as --gib asks for."""
    import torch
    from safetensors.torch import save_file

    h, i, v = LLAMA["hidden_size"], LLAMA["intermediate_size"], 32000
    k = h * LLAMA["num_key_value_heads"] // LLAMA["num_attention_heads"]
    layer = [
        ("self_attn.q_proj", h, h), ("self_attn.k_proj", k, h), ("self_attn.v_proj", k, h), ("self_attn.o_proj", h, h),
        ("mlp.gate_proj", i, h), ("mlp.up_proj", i, h), ("mlp.down_proj", h, i),
    ]
    per_layer = 2 * sum(rows * columns for _, rows, columns in layer)
    layers = max(1, round((gib * 2**30 - 4 * v * h) / per_layer))
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": v, "num_hidden_layers": layers,
        "torch_dtype": "bfloat16", "rms_norm_eps": 1e-5, "max_position_embeddings": 2048, "hidden_act": "silu",
        "tie_word_embeddings": False, **LLAMA,
    }
    for index, name in enumerate(["base", "one", "two"]):
        path = f"{folder}/{name}"
        os.makedirs(path, exist_ok=True)

        def numbers(key, *shape):
            base = torch.Generator().manual_seed(sum(map(ord, key)))
            values = 0.02 * torch.randn(*shape, generator=base)
            if index:
                own = torch.Generator().manual_seed(1000 * index + sum(map(ord, key)))
                values += 0.002 * torch.randn(*shape, generator=own)
            return values.bfloat16()

        tensors = {"model.embed_tokens.weight": numbers("e", v, h), "lm_head.weight": numbers("l", v, h)}
        tensors["model.norm.weight"] = numbers("n", h)
        for number in range(layers):
            prefix = f"model.layers.{number}."
            for key, rows, columns in layer:
                tensors[prefix + key + ".weight"] = numbers(prefix + key, rows, columns)
            tensors[prefix + "input_layernorm.weight"] = numbers(prefix + "i", h)
            tensors[prefix + "post_attention_layernorm.weight"] = numbers(prefix + "p", h)
        save_file(tensors, path + "/model.safetensors", metadata={"format": "pt"})
        with open(path + "/config.json", "w") as file:
            json.dump(config, file)


def mergekit_text(folder, method):
    head = "dtype: bfloat16\n"
    both = "models:\n" + "".join(
        f"  - model: {folder}/{name}\n    parameters: {{ weight: 0.5{', density: 0.5' if 'ties' in method or 'dare' in method else ''} }}\n"
        for name in ["one", "two"]
    )
    if method == "linear":
        return head + "merge_method: linear\n" + both
    if method == "slerp":
        return head + (
            f"merge_method: slerp\nbase_model: {folder}/one\nparameters: {{ t: 0.3 }}\n"
            f"models:\n  - model: {folder}/one\n  - model: {folder}/two\n"
        )
    return head + f"merge_method: {method}\nbase_model: {folder}/base\n" + both


def mergekit_merge(folder, out, _, __, method, options):
    import torch
    import yaml
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    torch.set_num_threads(options["threads"])
    config = MergeConfiguration.model_validate(yaml.safe_load(mergekit_text(folder, method)))
    began = time.perf_counter()
    run_merge(
        config, out,
        options=MergeOptions(copy_tokenizer=False, lazy_unpickle=True, quiet=True, write_model_card=False, random_seed=1),
    )
    return {"merge": None, "whole": time.perf_counter() - began}


WORKERS = {"peft_merge": peft_merge, "peft_bake": peft_bake, "mergekit_merge": mergekit_merge}


def worker(arguments):
    name, folder, out, shape, layers, kind, options = arguments
    if name == "make_adapters":
        return make_adapters(folder, shape, int(layers))
    if name == "make_base":
        return make_base(folder, shape, int(layers))
    if name == "make_models":
        return make_models(folder, float(kind))
    result = WORKERS[name](folder, out, shape, int(layers), kind, json.loads(options))
    result["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print("\n" + json.dumps(result))


# ---------------------------------------------------------------------------------------------------------------------
# The bench


class Case:
    def __init__(self, name, peer, shape, layers, kind, recipe, pairs=None, note=""):
        self.name, self.peer, self.shape, self.layers = name, peer, shape, layers
        self.kind, self.recipe, self.pairs, self.note = kind, recipe, pairs, note


def cases(options):
    n = options.layers
    adapter = "models: [" + ", ".join(f"./a{index}" for index in range(ADAPTERS)) + "]\n"
    few = max(1, n // 8)
    all_layers, some = f"{7 * n} modules", f"{7 * few} modules"
    return [
        Case("peft linear", "peft", "llama", n, "linear", "compat: peft\nmerge_method: linear\n" + adapter, note=all_layers),
        Case("peft cat", "peft", "llama", n, "cat", "compat: peft\nmerge_method: cat\n" + adapter, note=all_layers),
        Case("peft ties", "peft", "llama", few, "ties",
             "compat: peft\nmerge_method: ties\nparameters: { density: 0.2 }\n" + adapter, note=some),
        Case("peft magnitude_prune", "peft", "llama", few, "magnitude_prune",
             "compat: peft\nmerge_method: magnitude_prune\nparameters: { density: 0.2 }\n" + adapter, note=some),
        Case("peft svd", "peft", "square", 1, "svd", "compat: peft\nmerge_method: svd\n" + adapter, 1, "one 4096×4096 module"),
        Case("peft ties_svd", "peft", "square", 1, "ties_svd",
             "compat: peft\nmerge_method: ties_svd\nparameters: { density: 0.2 }\n" + adapter, 1, "one 4096×4096 module"),
        Case("bake / merge_and_unload", "peft", "llama", options.bake_layers, "bake", None,
             note=f"base of {7 * options.bake_layers} modules"),
    ] + [
        Case("mergekit " + method, "mergekit", "models", 0, method, None, note=f"models of {options.gib:g} GiB")
        for method in ["linear", "task_arithmetic", "ties", "dare_ties", "slerp"]
    ]


class Bench:
    def __init__(self, options):
        self.options = options
        self.pythons = {"peft": options.peft, "mergekit": options.mergekit}
        self.environment = {
            key: value for key, value in os.environ.items() if key not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
        }
        self.environment |= {"OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

    def python(self, peer, *arguments):
        command = [self.pythons[peer], os.path.abspath(__file__), "--worker", *map(str, arguments)]
        done = subprocess.run(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr[-1500:])
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        return json.loads(lines[-1]) if lines else None

    def lorabank(self, *arguments):
        command = [self.options.program, *arguments, "--threads", str(self.options.threads), "--quiet", "--no-progress"]
        began = time.perf_counter()
        process = subprocess.Popen(command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(errors.decode()[-1500:])
        return {"whole": time.perf_counter() - began, "peak": usage.ru_maxrss * 1024}

    def folder(self, case):
        """Makes the inputs of a case unless an earlier case did."""
        if case.peer == "mergekit":
            folder = f"{self.options.folder}/models-{self.options.gib:g}"
            if not os.path.exists(folder + "/two/config.json"):
                self.python("mergekit", "make_models", folder, "", "", 0, self.options.gib, "{}")
            return folder
        folder = f"{self.options.folder}/{case.shape}-{case.layers}"
        if not os.path.exists(folder + "/a7/adapter_config.json"):
            self.python("peft", "make_adapters", folder, "", case.shape, case.layers, "", "{}")
        if case.kind == "bake" and not os.path.exists(folder + "/base/model.safetensors"):
            self.python("peft", "make_base", folder, "", case.shape, case.layers, "", "{}")
        return folder

    def ours(self, case, folder, out):
        if case.kind == "bake":
            return self.lorabank("bake", f"path:{folder}/a0", "--base", folder + "/base", "--to", out)
        text = case.recipe or "compat: mergekit\nseed: 1\n" + mergekit_text(folder, case.kind).replace(
            "dtype: bfloat16\n", "output: { dtype: bf16 }\n")
        recipe = f"{folder}/recipe.yaml"
        with open(recipe, "w") as file:
            file.write(text)
        return self.lorabank("merge", recipe, "--to", out)

    def measure(self, case):
        folder = self.folder(case)
        worker = {"bake": "peft_bake"}.get(case.kind, case.peer + "_merge")
        sides = {"ours": [], "peer": []}
        for _ in range(case.pairs or self.options.pairs):
            for side in ("ours", "peer"):
                out = f"{self.options.folder}/out"
                shutil.rmtree(out, ignore_errors=True)
                # What one side left to be written does not slow the other.
                os.sync()
                if side == "ours":
                    sides[side].append(self.ours(case, folder, out))
                else:
                    settings = json.dumps({"threads": self.options.threads})
                    sides[side].append(
                        self.python(case.peer, worker, folder, out, case.shape, case.layers, case.kind, settings))
        shutil.rmtree(f"{self.options.folder}/out", ignore_errors=True)
        ratios = [peer["whole"] / ours["whole"] for ours, peer in zip(sides["ours"], sides["peer"])]
        merges = [peer["merge"] / ours["whole"] for ours, peer in zip(sides["ours"], sides["peer"]) if peer["merge"]]
        middle = statistics.median
        return {
            "case": case.name, "what": case.note, "peer": case.peer, "pairs": len(ratios),
            "seconds": middle(x["whole"] for x in sides["ours"]),
            "peer_seconds": middle(x["whole"] for x in sides["peer"]),
            "peer_merge_seconds": middle(x["merge"] for x in sides["peer"]) if merges else None,
            "ratio": middle(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios),
            "merge_ratio": middle(merges) if merges else None,
            "peak_bytes": max(x["peak"] for x in sides["ours"]), "peer_peak_bytes": max(x["peak"] for x in sides["peer"]),
        }

    def disk(self):
        """Bytes per second of reading two models and writing one, durably, in turns of 8 MiB."""
        folder = f"{self.options.folder}/models-{self.options.gib:g}"
        paths = [f"{folder}/{name}/model.safetensors" for name in ("one", "two")]
        if not all(map(os.path.exists, paths)):
            return None
        best = None
        for _ in range(3):
            out = f"{self.options.folder}/copy"
            os.sync()
            began = time.perf_counter()
            with open(paths[0], "rb", 0) as first, open(paths[1], "rb", 0) as second, open(out, "wb", 0) as target:
                buffer, other = bytearray(8 << 20), bytearray(8 << 20)
                while count := first.readinto(buffer):
                    second.readinto(other)
                    target.write(memoryview(buffer)[:count])
                os.fsync(target.fileno())
            seconds = time.perf_counter() - began
            best = min(best or seconds, seconds)
            os.remove(out)
        return best


def gib(value):
    return f"{value / 2**30:.2f}" if value >= 1 << 30 else f"{value / 2**20:.0f} MiB"


def seconds(value):
    return "–" if value is None else f"{value:.3g}"


def markdown(report):
    lines = [
        "| case | on | lorabank s | peer: merge alone s | peer: read, merge, write s | ratio (min–max) | ratio to merge alone | peak lorabank | peak peer |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in report["cases"]:
        alone = "–" if row["merge_ratio"] is None else f"{row['merge_ratio']:.3g}"
        lines.append(
            f"| {row['case']} | {row['what']} | {seconds(row['seconds'])} | {seconds(row['peer_merge_seconds'])} | "
            f"{seconds(row['peer_seconds'])} | {row['ratio']:.3g} ({row['ratio_min']:.3g}–{row['ratio_max']:.3g}) | {alone} | "
            f"{gib(row['peak_bytes'])} | {gib(row['peer_peak_bytes'])} |")
    return "\n".join(lines) + "\n"


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "--worker":
        return worker(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--peft", default=".build/peers/peft/bin/python")
    parser.add_argument("--mergekit", default=".build/peers/mergekit/bin/python")
    parser.add_argument("--case", action="append", default=[])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--bake-layers", type=int, default=2)
    parser.add_argument("--gib", type=float, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--folder", default="/tmp/lorabank-bench-merge")
    parser.add_argument("--json")
    parser.add_argument("--markdown")
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    bench = Bench(options)
    report = {
        "schema": "lorabank.bench-merge/1", "threads": options.threads, "load": os.getloadavg()[0],
        "blas_core": json.loads(subprocess.run(
            [options.program, "doctor", "--json"], env=bench.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True).stdout).get("blas_core"),
        "cases": [], "left_out": [],
    }
    for case in cases(options):
        if options.case and case.name not in options.case:
            continue
        python = bench.pythons[case.peer]
        if not (os.path.exists(python) or shutil.which(python)):
            report["left_out"].append(case.name)
            print(f"{case.name}: left out, {case.peer} is not installed at {python} (`make bench-peers`)", file=sys.stderr)
            continue
        try:
            row = bench.measure(case)
        except RuntimeError as error:
            report["left_out"].append(case.name)
            print(f"{case.name}: {error}", file=sys.stderr)
            continue
        report["cases"].append(row)
        save(report, options)
        print(f"{case.name}: {row['seconds']:.3g} s against {row['peer_seconds']:.3g} s, ratio {row['ratio']:.3g}",
              file=sys.stderr, flush=True)
    report["copy_seconds"] = bench.disk()
    save(report, options)
    if not options.json:
        print(json.dumps(report, indent=1))


def save(report, options):
    """After every case, so that a run that is stopped leaves what it has."""
    if options.json:
        with open(options.json, "w") as file:
            file.write(json.dumps(report, indent=1) + "\n")
    if options.markdown:
        with open(options.markdown, "w") as file:
            file.write(markdown(report))


if __name__ == "__main__":
    main()
