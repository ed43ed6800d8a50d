#!/usr/bin/env python3
"""Measures the networks beside PyTorch (float32, or bfloat16 where a case says so) in one run and prints a table with ratios.

usage: bench_networks.py LORABANK_BENCH [--pairs N] [--threads N] [--case NAME]... [--json FILE]

Both sides run the same shapes with made-up weights, in one process each per case, taking turns: measure ours, measure
PyTorch's, and so on. Ratios are those of CPU seconds (all threads), medians over the pairs; a ratio of 2 means that
PyTorch needs twice the CPU time. Memory is the peak of the whole process. Prints a note where torch is missing.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

RUNS = {
    "minilm_forward": 4,
    "small_vit_forward": 10,
    "small_vit_step": 4,
    "vit_b16_forward": 1,
    "vit_b16_step": 1,
    "minilm_forward_bf16": 4,
    "small_vit_forward_bf16": 10,
    "vit_b16_forward_bf16": 1,
}
CASES = list(RUNS)


def torch_side(case, threads):
    """Answers every line (a number of runs) with one line of JSON."""
    import resource
    import time

    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.set_num_threads(threads)
    torch.manual_seed(1)

    class LoRA(nn.Module):
        def __init__(self, linear, rank):
            super().__init__()
            self.linear = linear.requires_grad_(False)
            self.a = nn.Parameter(torch.randn(rank, linear.in_features) * 0.02)
            self.b = nn.Parameter(torch.randn(linear.out_features, rank) * 0.02)

        def forward(self, x):
            return self.linear(x) + F.linear(F.linear(x, self.a), self.b)

    class Block(nn.Module):
        def __init__(self, width, heads, eps, pre):
            super().__init__()
            self.heads, self.pre = heads, pre
            self.norm1, self.norm2 = nn.LayerNorm(width, eps), nn.LayerNorm(width, eps)
            self.qkv, self.o = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def attend(self, x):
            n, length, width = x.shape
            q, k, v = self.qkv(x).view(n, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            c = F.scaled_dot_product_attention(q, k, v)
            return self.o(c.transpose(1, 2).reshape(n, length, width))

        def forward(self, x):
            if self.pre:
                x = x + self.attend(self.norm1(x))
                return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))
            x = self.norm1(x + self.attend(x))
            return self.norm2(x + self.fc2(F.gelu(self.fc1(x))))

    class ViT(nn.Module):
        def __init__(self, image, patch, channels, width, depth, heads):
            super().__init__()
            self.patch = nn.Conv2d(channels, width, patch, patch)
            self.cls = nn.Parameter(torch.zeros(1, 1, width))
            self.positions = nn.Parameter(torch.randn(1, (image // patch) ** 2 + 1, width) * 0.02)
            self.blocks = nn.Sequential(*[Block(width, heads, 1e-12, True) for _ in range(depth)])
            self.norm = nn.LayerNorm(width, 1e-12)

        def forward(self, pixels):
            x = self.patch(pixels).flatten(2).transpose(1, 2)
            x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.positions
            return self.norm(self.blocks(x))[:, 0]

    class BERT(nn.Module):
        def __init__(self, width, depth, heads):
            super().__init__()
            self.words, self.positions = nn.Embedding(30522, width), nn.Embedding(512, width)
            self.types = nn.Embedding(2, width)
            self.norm = nn.LayerNorm(width, 1e-12)
            self.blocks = nn.Sequential(*[Block(width, heads, 1e-12, False) for _ in range(depth)])

        def forward(self, ids):
            place = torch.arange(ids.shape[1])
            x = self.words(ids) + self.positions(place) + self.types(torch.zeros_like(place))
            return self.blocks(self.norm(x)).mean(1)

    if case.startswith("minilm"):
        batch, model, data = 32, BERT(384, 6, 12), torch.randint(0, 30522, (32, 32))
    elif case.startswith("small_vit"):
        batch, model, data = 64, ViT(28, 7, 1, 128, 6, 4), torch.randn(64, 1, 28, 28)
    else:
        batch, model, data = 8, ViT(224, 16, 3, 768, 12, 12), torch.randn(8, 3, 224, 224)
    model.requires_grad_(False)
    if case.endswith("bf16"):
        model = model.bfloat16()
        data = data.bfloat16() if data.is_floating_point() else data
    if case.endswith("step"):
        for block in model.blocks:
            block.qkv, block.o = LoRA(block.qkv, 8), LoRA(block.o, 8)
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)

        def once():
            optimizer.zero_grad()
            (model(data).square().sum() * (0.5 / batch)).backward()
            optimizer.step()
    else:

        def once():
            with torch.inference_mode():
                model(data)

    once()
    for line in sys.stdin:
        runs = int(line)
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(runs):
            once()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        answer = {"cpu_seconds": cpu / runs, "seconds": wall / runs, "samples": batch, "peak_rss_bytes": peak}
        print(json.dumps(answer), flush=True)


def start(command):
    environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def ask(process, runs):
    process.stdin.write(f"{runs}\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise SystemExit("a side of the benchmark ended early")
    return json.loads(line)


def measure(case, options):
    ours = start([options.program, "networks", "--follow", "--case", case, "--threads", str(options.threads)])
    peer = start([sys.executable, __file__, options.program, "--torch", case, "--threads", str(options.threads)])
    ask(ours, 1), ask(peer, 1)
    pairs = [(ask(ours, RUNS[case]), ask(peer, RUNS[case])) for _ in range(options.pairs)]
    for process in (ours, peer):
        process.stdin.close()
        process.wait()

    def median(values):
        return statistics.median(values)

    ratios = [theirs["cpu_seconds"] / mine["cpu_seconds"] for mine, theirs in pairs]
    samples = pairs[0][0]["samples"]
    return {
        "case": case,
        "cpu_ms_per_sample": median([1e3 * mine["cpu_seconds"] / samples for mine, _ in pairs]),
        "torch_cpu_ms_per_sample": median([1e3 * theirs["cpu_seconds"] / samples for _, theirs in pairs]),
        "ratio": median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "wall_ratio": median([theirs["seconds"] / mine["seconds"] for mine, theirs in pairs]),
        "peak_mib": max(mine["peak_rss_bytes"] for mine, _ in pairs) / 2**20,
        "torch_peak_mib": max(theirs["peak_rss_bytes"] for _, theirs in pairs) / 2**20,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--case", action="append", choices=CASES)
    parser.add_argument("--json")
    parser.add_argument("--torch", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.torch:
        return torch_side(options.torch, options.threads)
    try:
        import torch
    except ImportError:
        print("torch is not installed: the networks are not measured beside it", file=sys.stderr)
        return None
    load = os.getloadavg()[0]
    print(f"torch {torch.__version__}, {options.threads} threads, {options.pairs} pairs, load {load:.1f}\n")
    print("| case | ms CPU per sample | torch | ratio (min–max) | wall ratio | peak MiB | torch |")
    print("|---|---|---|---|---|---|---|", flush=True)
    rows = []
    for case in options.case or CASES:
        row = measure(case, options)
        rows.append(row)
        print(
            f"| {case} | {row['cpu_ms_per_sample']:.3g} | {row['torch_cpu_ms_per_sample']:.3g} "
            f"| {row['ratio']:.2f} ({row['ratio_min']:.2f}–{row['ratio_max']:.2f}) | {row['wall_ratio']:.2f} "
            f"| {row['peak_mib']:.0f} | {row['torch_peak_mib']:.0f} |",
            flush=True,
        )
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"torch": torch.__version__, "threads": options.threads, "load": load, "cases": rows}, file)


if __name__ == "__main__":
    main()
