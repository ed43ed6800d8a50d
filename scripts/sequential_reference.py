#!/usr/bin/env python3
"""Sequential LoRA on Split-MNIST, with torch and PEFT and with this program, by one protocol; needs torch, timm, peft.

    scripts/sequential_reference.py PROGRAM SHARED WORK [PAGE] [--seeds N] [--variants head1,head5,…]

Five tasks of two digits, 1,000 training images per class, one LoRA (r 8, alpha 16, attn.qkv and attn.proj of all six blocks)
that is trained on and on, one linear head of ten rows, cross-entropy among the task's own classes, AdamW (weight decay 0.01)
made anew for each task, batch 64, 3 epochs per task, 10 steps of warm-up and then linear decay, one thread. Both sides hold
nothing out beyond these images. Results stand in WORK, one file per side, variant and seed; what is there is not run again.
With PAGE the table goes between its marks. CPU time is that of training alone: torch measures it around the epochs, this
program by the difference of a run with 9 epochs to those with 3.
"""
import argparse
import gzip
import json
import os
import resource
import subprocess
import time

# Factor on the head's learning rate; the published reference does not tell its own.
VARIANTS = {"head1": 1, "head5": 5}
TASKS = [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
T95 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228]
PUBLISHED = (44.86, 72.15)


def images(folder, part):
    import numpy
    with gzip.open(f"{folder}/{part}-images-idx3-ubyte.gz") as file:
        pixels = numpy.frombuffer(file.read(), numpy.uint8, offset=16).reshape(-1, 1, 28, 28)
    with gzip.open(f"{folder}/{part}-labels-idx1-ubyte.gz") as file:
        labels = numpy.frombuffer(file.read(), numpy.uint8, offset=8).astype(numpy.int64)
    return pixels, labels


def tensor(pixels):
    import torch
    return (torch.from_numpy(pixels.astype("float32")) / 255 - 0.1307) / 0.3081


def torch_run(shared, seed, head_factor, epochs=3, batch=64, rate=2e-3):
    import numpy
    import torch
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import load_file
    from timm.models.vision_transformer import VisionTransformer
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    network = VisionTransformer(img_size=28, patch_size=7, in_chans=1, num_classes=0, embed_dim=128, depth=6, num_heads=4)
    network.load_state_dict(load_file(f"{shared}/backbones/vit-tiny28/model.safetensors"))
    model = get_peft_model(network, LoraConfig(r=8, lora_alpha=16, target_modules=["attn.qkv", "attn.proj"]))
    head = torch.nn.Linear(128, 10)
    torch.nn.init.zeros_(head.bias)
    pixels, labels = images(f"{shared}/data/mnist", "train")
    chosen = [numpy.flatnonzero(labels == digit)[:1000] for digit in range(10)]
    test_pixels, test_labels = images(f"{shared}/data/mnist", "t10k")
    test, test_labels = tensor(test_pixels), torch.from_numpy(test_labels)
    adapters = [p for p in model.parameters() if p.requires_grad]
    curve, cpu, count = [], 0.0, 0
    for index, classes in enumerate(TASKS):
        rows = numpy.concatenate([chosen[c] for c in classes])
        x, y = tensor(pixels[rows]), torch.from_numpy(labels[rows])
        groups = [{"params": adapters, "lr": rate}, {"params": list(head.parameters()), "lr": rate * head_factor}]
        optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
        steps = epochs * ((len(x) + batch - 1) // batch)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min((step + 1) / 10, (steps - step) / max(1, steps - 10)))
        mask = torch.full((10,), float("-inf"))
        mask[classes] = 0
        model.train()
        began = time.process_time()
        for _ in range(epochs):
            order = torch.randperm(len(x))
            for start in range(0, len(x), batch):
                part = order[start:start + batch]
                loss = torch.nn.functional.cross_entropy(head(model(x[part])) + mask, y[part])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
        cpu += time.process_time() - began
        count += epochs * len(x)
        model.eval()
        seen = 2 * index + 2
        with torch.no_grad():
            own = test_labels < seen
            scores = torch.cat([head(model(part)) for part in test[own].split(500)])[:, :seen]
            curve.append((scores.argmax(1) == test_labels[own]).float().mean().item())
    return {"last": curve[-1], "avg_incremental": sum(curve) / len(curve), "curve": curve,
            "cpu_ms": 1000 * cpu / count}


def engine_run(program, shared, seed, head_factor, work, epochs=3):
    """One run of `cil run`, and the CPU seconds of its process."""
    config = os.path.join(work, "sequential.json")
    with open(config, "w") as file:
        json.dump({
            "name": "sequential", "backbone": os.path.abspath(f"{shared}/backbones/vit-tiny28"),
            "data": {"path": os.path.abspath(f"{shared}/data/mnist"), "train_per_class": 1000},
            "input": {"mean": 0.1307, "std": 0.3081, "scale": 255}, "structure": "single", "rank": 8, "lora_alpha": 16,
            "sites": ["qkv", "proj"], "epochs": epochs, "batch": 64,
            "optimizer": {"kind": "adamw", "lr": 2e-3, "weight_decay": 0.01, "schedule": "linear", "warmup_steps": 10,
                          "head_multiplier": head_factor},
            "head": {"kind": "linear", "loss": "local", "refit_epochs": 0}, "ablations": "none", "predictions": False,
            "seeds": {"class_order": None, "train": seed}}, file)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = os.path.join(work, "runs", f"head{head_factor}-{seed}-{epochs}")
    done = subprocess.run([program, "cil", "run", config, "--run", run, "--force", "--no-bank", "--json", "--no-progress",
                           "--threads", "1"], check=True, stdout=subprocess.PIPE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    document = json.loads(done.stdout)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"last": document["last"], "avg_incremental": document["avg_incremental"],
            "matrix": document["accuracy_matrix"], "cpu_seconds": cpu}


def kept(work, name, make):
    path = os.path.join(work, name + ".json")
    if not os.path.exists(path):
        result = make()
        with open(path, "w") as file:
            json.dump(result, file, indent=1)
        print(name, {key: value for key, value in result.items() if key != "matrix"}, flush=True)
    with open(path) as file:
        return json.load(file)


def statistics(values):
    mean = sum(values) / len(values)
    sd = (sum((v - mean) ** 2 for v in values) / max(1, len(values) - 1)) ** 0.5
    return mean, sd


def welch(first, second):
    """Difference of means and half its 95 % interval (Student's t, the smaller number of degrees of freedom)."""
    (a, sa), (b, sb) = statistics(first), statistics(second)
    error = (sa**2 / len(first) + sb**2 / len(second)) ** 0.5
    return a - b, T95[min(len(first), len(second)) - 2] * error


def table(results, seeds, times):
    lines = ["| head's learning rate | metric | torch + PEFT, mean ± sd | this program, mean ± sd | difference, 95 % |",
             "| --- | --- | ---: | ---: | ---: |"]
    for variant, (reference, own) in results.items():
        for key, title in (("last", "last"), ("avg_incremental", "average incremental")):
            a = [100 * run[key] for run in reference]
            b = [100 * run[key] for run in own]
            gap, half = welch(b, a)
            (ma, sa), (mb, sb) = statistics(a), statistics(b)
            lines.append(f"| {VARIANTS[variant]} × the adapter's | {title} % | {ma:.2f} ± {sa:.2f} | {mb:.2f} ± {sb:.2f} | "
                         f"{gap:+.2f} ± {half:.2f} |")
    torch_ms, own_ms = times
    lines += ["", f"{seeds} seeds each; the published reference has one seed, {PUBLISHED[0]} / {PUBLISHED[1]}. CPU time of training per "
              f"image and epoch (forward, backward and step, all six blocks adapted, one thread): torch + PEFT {torch_ms:.2f} ms, "
              f"this program {own_ms:.2f} ms."]
    return lines


def put(page, lines):
    first, last = "<!-- sequential reference -->\n", "<!-- end of sequential reference -->"
    with open(page) as file:
        head, found, rest = file.read().partition(first)
    _, closed, tail = rest.partition(last)
    if not found or not closed:
        raise SystemExit(f"{page} has no marks for the table of the sequential reference")
    with open(page, "w") as file:
        file.write(head + first + "\n" + "\n".join(lines) + "\n\n" + last + tail)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("shared")
    parser.add_argument("work")
    parser.add_argument("page", nargs="?")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--variants", default="head1")
    options = parser.parse_args()
    os.makedirs(options.work, exist_ok=True)
    results = {}
    for variant in options.variants.split(","):
        factor = VARIANTS[variant]
        results[variant] = ([], [])
        for seed in range(options.seeds):
            results[variant][0].append(
                kept(options.work, f"torch-{variant}-{seed}", lambda: torch_run(options.shared, seed, factor)))
            results[variant][1].append(
                kept(options.work, f"engine-{variant}-{seed}",
                     lambda: engine_run(options.program, options.shared, seed, factor, options.work)))
    long = kept(
        options.work, "engine-time-9", lambda: engine_run(options.program, options.shared, 0, 1, options.work, epochs=9))
    short = statistics([run["cpu_seconds"] for pair in results.values() for run in pair[1]])[0]
    own = 1000 * (long["cpu_seconds"] - short) / (6 * 10_000)
    runs = [run for pair in results.values() for run in pair[0]]
    lines = table(results, options.seeds, (statistics([run["cpu_ms"] for run in runs])[0], own))
    print("\n".join(lines))
    if options.page:
        put(options.page, lines)


if __name__ == "__main__":
    main()
