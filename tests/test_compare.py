#!/usr/bin/env python3
"""bench/compare.py: what it says of two files, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

COMPARE = Path(__file__).resolve().parents[1] / "bench" / "compare.py"
CONTEXT = {"format": "etude-bench", "version": 1, "device": "cpu", "processor": "P", "threads": 2, "blas": "B"}


def runs(name: str, *times: float) -> list[dict[str, Any]]:
    return [{"name": name, "run_type": "iteration", "real_time": time, "time_unit": "us"} for time in times]


class Compare(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def file(self, name: str, *benchmarks: list[dict[str, Any]], **context: Any) -> str:
        path = self.folder / name
        record = {"context": CONTEXT | context, "benchmarks": [run for all_of in benchmarks for run in all_of]}
        path.write_text(json.dumps(record))
        return str(path)

    def run_on(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, COMPARE, *arguments], capture_output=True, text=True, check=False)

    def refuses(self, reason: str, *arguments: str) -> None:
        done = self.run_on(*arguments)
        self.assertEqual(done.returncode, 1, done)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn(reason, done.stderr)

    def test_ratios_of_medians_and_marks(self) -> None:
        before = self.file("a", runs("slow", 10, 11, 12), runs("noise", 10, 11, 12), runs("fast", 10, 11, 12))
        after = self.file("b", runs("slow", 21, 22, 90), runs("noise", 12, 13, 14), runs("fast", 5, 5.5, 6))
        done = self.run_on(before, after)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"slow .* 2\.000  slower\n")
        self.assertRegex(done.stdout, r"noise .* 1\.182\n")
        self.assertRegex(done.stdout, r"fast .* 0\.500  faster\n")
        self.assertIn("3 benchmarks: 1 faster, 1 slower", done.stdout)

    def test_fail_above(self) -> None:
        before = self.file("a", runs("x", 10, 11, 12))
        after = self.file("b", runs("x", 13, 14, 15))
        self.assertEqual(self.run_on(before, after, "--fail-above", "1.3").returncode, 0)
        done = self.run_on(before, after, "--fail-above", "1.2")
        self.assertEqual(done.returncode, 1)
        self.assertIn("x takes 1.273 times as long, more than 1.2", done.stderr)
        overlap = self.file("c", runs("x", 11.5, 14, 15))
        self.assertEqual(self.run_on(before, overlap, "--fail-above", "1.2").returncode, 0)
        self.assertEqual(self.run_on(before, after, "--fail-above", "-1").returncode, 2)

    def test_one_repetition_has_no_noise_to_go_by(self) -> None:
        before, after = self.file("a", runs("x", 10)), self.file("b", runs("x", 20))
        done = self.run_on(before, after, "--fail-above", "1.5")
        self.assertEqual(done.returncode, 1)
        self.assertIn("fewer than 3 repetitions", done.stderr)
        self.assertNotIn("slower\n", done.stdout.splitlines()[2])

    def test_what_is_in_one_file_alone_is_named(self) -> None:
        broken = [{"name": "gone", "run_type": "iteration", "error_occurred": True, "error_message": "no GPU"}]
        before = self.file("a", runs("x", 1, 1, 1), runs("gone", 1, 1, 1))
        after = self.file("b", runs("x", 1, 1, 1), runs("new", 1, 1, 1), broken)
        done = self.run_on(before, after)
        self.assertEqual(done.returncode, 0)
        self.assertIn(f"only in {before}: gone\n", done.stdout)
        self.assertIn(f"only in {after}: new\n", done.stdout)
        self.assertIn(f"could not run in {after}: gone: no GPU\n", done.stdout)
        self.assertEqual(self.run_on(before, after, "--fail-above", "2").returncode, 1)

    def test_refusals(self) -> None:
        good = self.file("good", runs("x", 1, 1, 1))
        self.refuses("No such file", good, str(self.folder / "none"))
        (self.folder / "text").write_text("not JSON")
        self.refuses("not a JSON file", good, str(self.folder / "text"))
        (self.folder / "list").write_text("[]")
        self.refuses("not written by bench_kernels", good, str(self.folder / "list"))
        self.refuses("not written by bench_kernels", good, self.file("b", format="other"))
        self.refuses("of format version 2", good, self.file("c", runs("x", 1), version=2))
        self.refuses("nothing to compare", good, self.file("d", runs("x", 1), device="cuda"))
        self.refuses("no benchmark in common", good, self.file("e"))
        self.refuses("damaged", good, self.file("f", [{"name": "x", "real_time": "soon", "time_unit": "us"}]))
        self.refuses("damaged", good, self.file("g", runs("x", float("nan"))))
        self.refuses("damaged", good, self.file("h", [{"name": "x"}]))

    def test_another_machine_is_a_warning(self) -> None:
        before = self.file("a", runs("x", 1, 1, 1))
        after = self.file("b", runs("x", 1, 1, 1), processor="Q", threads=4)
        done = self.run_on(before, after)
        self.assertEqual(done.returncode, 0)
        self.assertIn("another processor: P before, Q after", done.stderr)
        self.assertIn("another threads: 2 before, 4 after", done.stderr)


if __name__ == "__main__":
    unittest.main()
