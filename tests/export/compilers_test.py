#!/usr/bin/env python3
"""Other compilers than clang 19 compile kernels with export/runtime/kiln_compat.h, and the kernels compute the same bytes.

usage: tests/export/compilers_test.py --kiln BUILD/bin/kiln [--compilers gcc-12 clang-14 ...] [--configs N] [--seed N] [--jobs N]

Draws workloads of odd shapes with every form of requantizing, and configs of their spaces. The C of each is compiled by clang 19
as it stands: that is what Kiln runs and verifies. Then
  - clang 19 must make the same object with the header, also where it maps all builtins to intrinsics: so the intrinsics are what
    the builtins are, which no machine with AVX-512 is needed for;
  - every other compiler must compile it with the header and nothing undefined;
  - and the kernels of all must give the same statuses, packed bytes and outputs (compare_kernels.c), where this machine or an
    emulator can run them.
Compilers that are not there are skipped, and said so: for aarch64 gcc-12 is aarch64-linux-gnu-gcc-12, clang takes a flag.
Exit status 1 if anything differs, 77 if there is nothing to compare with.
"""
import argparse
import collections
import concurrent.futures
import json
import pathlib
import platform
import random
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
HEADER = SOURCE / "export/runtime/kiln_compat.h"
REFERENCE = "clang-19"

# As the top of kiln_compat.h says; library_test holds exported libraries to the same.
FLAGS = re.search(r"(-std=c11 .* -w)$", HEADER.read_text(), re.MULTILINE)[1].split()
GCC_FLAGS = re.search(r"gcc also: (.*)$", HEADER.read_text(), re.MULTILINE)[1].split()
TARGETS = {
    "x86-64": ("x86_64", ["-march=x86-64"]),
    "x86-64-v3": ("x86_64", ["-march=x86-64-v3"]),
    "alderlake": ("x86_64", ["-march=x86-64-v3", "-mavxvnni"]),
    "cascadelake": ("x86_64", ["-march=x86-64-v4", "-mavx512vnni", "-mprefer-vector-width=512"]),
    "rasp4b": ("aarch64", ["-march=armv8-a"]),
    "pixel6": ("aarch64", ["-march=armv8.2-a+dotprod"]),
}
FORMS = ["step1/double", "step1/single", "step2/double", "step2/single", "signed1/double", "signed2/double", "int7/double",
         "int7/single", "int9/double", "gen/double", "gen/single", "float/float"]


def compiler_for(name, arch):
    """The command of a compiler for an architecture."""
    if name.startswith("clang"):
        return [name, f"--target={arch}-linux-gnu", *FLAGS]
    return [name if arch == platform.machine() else f"{arch}-linux-gnu-{name}", *FLAGS, *GCC_FLAGS]


def run(command):
    return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          errors="replace")


class Case:
    """A workload, a target, a config, and the C of it."""

    def __init__(self, kiln, keys, form, target, rng):
        self.target, self.seed = target, rng.getrandbits(32)
        while True:  # not all fields go together
            fields = rng.choice(keys).split("/")
            fields[-5] = rng.choice(["pt", "pc"])
            fields[-3] = "act=" + rng.choice(["none", "lo", "lohi"])
            self.key = "/".join(fields[:-2] + ["rq=" + form])
            space = run([kiln, "space", "--workload", self.key, "--target", target, "--json"])
            if space.returncode == 0:
                break
        knobs = json.loads(space.stdout)["knobs"]
        methods = [knob["values"] for knob in knobs if knob["name"] == "method"]
        method = rng.choice(methods[0]) if methods else ""
        for attempt in range(100):  # most combinations of a large space are illegal
            if attempt == 60:
                method = ""  # this workload may not have it
            values = {knob["name"]: rng.choice(knob["values"]) for knob in knobs}
            if method:
                values["method"] = method
            self.config = "default" if attempt == 99 else ",".join(f"{name}={value}" for name, value in values.items())
            emitted = run([kiln, "space", "--workload", self.key, "--target", target, "--config", self.config, "--emit", "c"])
            if emitted.returncode == 0:
                break
        self.c = emitted.stdout
        found = re.search(r"\bmethod=\w+", self.config)
        self.method = found[0] if found else "default config" if self.config == "default" else ""

    def facts(self):
        """The arguments of compare_kernels before the libraries."""
        fields = self.key.split("/")
        numbers = {letter: int(n) for part in fields[2:-5] for letter, n in re.findall(r"([a-z])(\d+)", part)}
        window = re.search(r"/k(\d+)x(\d+)/", self.key)
        taps = int(window[1]) * int(window[2]) if window else 1
        if fields[0] == "depthwise":
            channels = numbers["c"] * numbers["m"]
        else:
            channels, taps = numbers["o"], taps * numbers["c"] // numbers.get("g", 1)
        symbol = re.search(r"\b(kiln_[0-9a-f]{16})_info\b", self.c)[1]
        return [symbol, channels, taps, "/".join([fields[1], *fields[-5:]]), self.seed]

    def __str__(self):
        return f"{self.target} {self.key} {self.config}"


class Test:
    def __init__(self, args, scratch):
        self.scratch = scratch
        self.failures = []
        self.compilers = {arch: [] for arch, _ in TARGETS.values()}
        for arch, found in self.compilers.items():
            for name in [REFERENCE, *args.compilers]:
                program = compiler_for(name, arch)[0]
                if shutil.which(program):
                    found.append(name)
                else:
                    print(f"SKIPPED for {arch}: there is no {program}")
        targets = json.loads("[" + ",".join(run([args.kiln, "targets", "--json"]).stdout.splitlines()) + "]")
        self.runs = {t["name"]: t["runs_here"] or bool(t["emulated"]) for t in targets}
        self.drivers = {}
        for arch in self.compilers:
            self.build_driver(arch)

    def build_driver(self, arch):
        native = arch == platform.machine()
        emulator = [] if native else [f"qemu-{arch}", "-L", f"/usr/{arch}-linux-gnu"]
        compiler = "cc" if native else f"{arch}-linux-gnu-gcc"
        if not shutil.which(compiler) or (emulator and not shutil.which(emulator[0])):
            print(f"SKIPPED for {arch}: kernels are compiled and not run, as there is no {compiler} or no {emulator[:1]}")
            return
        driver = self.scratch / f"compare_kernels.{arch}"
        source = SOURCE / "tests/export/compare_kernels.c"
        built = run([compiler, "-std=gnu11", "-O1", "-Wall", "-I", SOURCE, source, "-o", driver, "-ldl"])
        if built.returncode != 0:
            sys.exit(built.stderr)
        self.drivers[arch] = [*emulator, driver]

    def check(self, number, case):
        """Returns what is to be counted of it."""
        arch, instructions = TARGETS[case.target]
        stem = self.scratch / f"{number}"
        source = stem.with_suffix(".c")
        source.write_text(case.c)
        failed = []

        def compiled(name, suffix, flags):
            out = stem.with_suffix(f".{name}{suffix}")
            made = run([*compiler_for(name, arch), *instructions, "-I", SOURCE / "kernel_host", *flags, source, "-o", out])
            if made.returncode != 0:
                failed.append(f"{case}: {name} {' '.join(map(str, flags))}\n{made.stderr[:2000]}")
            return out if made.returncode == 0 else None

        with_header = ["-include", HEADER]
        shared = ["-shared", "-nostdlib", "-Wl,-z,defs"]
        plain = compiled(REFERENCE, ".o", ["-c"])
        for suffix, flags in [(".header.o", []), (".mapped.o", ["-DKILN_COMPAT_MAP_ALL"])]:
            other = compiled(REFERENCE, suffix, ["-c", *with_header, *flags])
            if plain and other and plain.read_bytes() != other.read_bytes():
                failed.append(f"{case}: {REFERENCE} makes another object with {' '.join(['the header', *flags])}")
        libraries = [compiled(REFERENCE, ".so", shared)]
        counted = collections.Counter(configs=1)
        others = [name for name in self.compilers[arch] if name != REFERENCE]
        for name in others:
            libraries.append(compiled(name, ".so", [*shared, *with_header]))
            counted[f"compiled by {name}"] = 1 if libraries[-1] else 0
        if not failed and others and arch in self.drivers and self.runs.get(case.target):
            compared = run([*self.drivers[arch], *case.facts(), *libraries])
            if compared.returncode != 0:
                failed.append(f"{case}: status {compared.returncode}: {compared.stdout}{compared.stderr}")
            else:
                in_class, refused, different = map(int, compared.stdout.split())
                counted.update(compared=1, in_class=in_class, refused=refused, all_refused=in_class == 0, one_byte=different == 1)
        for path in self.scratch.glob(f"{number}.*"):
            path.unlink()
        self.failures += failed
        return counted


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kiln", required=True)
    parser.add_argument("--compilers", nargs="*", default=["gcc-12", "clang-14"])
    parser.add_argument("--configs", type=int, default=72, help="72: each form for each target")
    parser.add_argument("--targets", nargs="*", default=list(TARGETS))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)

    lines = (SOURCE / "tests/integration/odd_workloads.txt").read_text().splitlines()
    keys = [line for line in lines if line and not line.startswith("#")]
    sums = collections.defaultdict(collections.Counter)
    with tempfile.TemporaryDirectory() as scratch:
        test = Test(args, pathlib.Path(scratch))
        if all(found in ([], [REFERENCE]) for found in test.compilers.values()):
            print("SKIPPED: no compiler to compare with")
            return 77
        if any(REFERENCE not in found for found in test.compilers.values()):
            print(f"SKIPPED: no {REFERENCE}")
            return 77

        def one(number):
            target = args.targets[number % len(args.targets)]
            form = FORMS[number // len(args.targets) % len(FORMS)]
            case = Case(args.kiln, keys, form, target, random.Random(f"{args.seed} {number}"))
            return case, test.check(number, case)

        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            for case, counted in pool.map(one, range(args.configs)):
                sums[case.target].update(counted)
                sums[case.target].update(filter(None, [case.key.split("/")[0], case.method]))
    for target, counted in sums.items():
        print(f"{target}: " + ", ".join(f"{name} {n}" for name, n in counted.items()))
    for failure in test.failures:
        print(f"FAILED: {failure}")
    print(f"{sum(s['configs'] for s in sums.values())} configs, {sum(s['compared'] for s in sums.values())} of them run: "
          + (f"{len(test.failures)} failures" if test.failures else "all bit-exact"))
    return 1 if test.failures else 0


sys.exit(main())
