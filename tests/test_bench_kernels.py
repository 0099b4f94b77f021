#!/usr/bin/env python3
"""bench_kernels at tiny sizes: that every benchmark runs on the CPU and some under simt, and what comes out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

COMPARE = Path(__file__).resolve().parents[1] / "bench" / "compare.py"
PROGRAM = os.environ["ETUDE_BENCH_KERNELS"]
COUNTERS = {"bytes", "GB/s", "bound_us", "share", "cold"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False)


class BenchKernels(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = str(Path(folder.name) / "out.json")

    def check(self, *arguments: str) -> list[str]:
        """The names of what ran."""
        done = run("--small", "--threads=1", f"--benchmark_out={self.out}", *arguments)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        record = json.loads(Path(self.out).read_text())
        self.assertEqual((record["context"]["format"], record["context"]["version"]), ("etude-bench", 1))
        for entry in record["benchmarks"]:
            self.assertGreater(entry["real_time"], 0, entry)
            self.assertTrue(COUNTERS <= entry.keys(), entry)
            self.assertIn(entry["name"], done.stdout)
        same = subprocess.run([sys.executable, COMPARE, self.out, self.out], capture_output=True, text=True, check=False)
        self.assertEqual(same.returncode, 0, same.stderr)
        return [entry["name"] for entry in record["benchmarks"]]

    def test_cpu(self) -> None:
        names = set(self.check())
        self.assertIn("gru/forward/cpu/B:9/T:7/in:32/H:16", names)
        listed = run("--small", "--benchmark_list_tests").stdout.split()
        self.assertEqual(names, {name.removesuffix("/manual_time") for name in listed})

    def test_simt(self) -> None:
        of = "^(gru_recurrence/backward/simt/fp32/stepwise|attention/both|embedding_update|step_plan|nadam)"
        names = self.check("--device=simt", "--precision=fp32", f"--benchmark_filter={of}")
        self.assertIn("embedding_update/lazy/simt/fp32/B:9/T:7/V:100/dim:9", names)
        self.assertIn("nadam/lazy_flush/simt/fp32/B:9/T:7/V:100/dim:9", names)

    def test_sweeps_have_other_sizes(self) -> None:
        names = self.check("--sweep", "--benchmark_filter=^leaky_relu/forward")
        self.assertEqual(
            {name for name in names}, {"leaky_relu/forward/cpu/B:9/out:8", "leaky_relu/forward/cpu/B:18/out:8"}
        )

    def test_what_does_not_exist(self) -> None:
        done = run("--small", "--benchmark_filter=nosuch", f"--benchmark_out={self.out}")
        self.assertEqual(done.returncode, 1)
        self.assertIn('no benchmark is called "nosuch" (--benchmark_list_tests', done.stderr.splitlines()[-1])
        self.assertFalse(Path(self.out).exists())
        done = run("--bogus")
        self.assertEqual((done.returncode, len(done.stderr.splitlines())), (2, 1), done.stderr)
        done = run("--small", "--benchmark_filter=^add", "--benchmark_out=/nowhere/out.json")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nowhere", done.stderr.splitlines()[-1])


if __name__ == "__main__":
    unittest.main()
