#!/usr/bin/env python3
"""The experiments behind docs/table1.md: where the minutes of the paper's Table I can come from.

Steps of the five models in Etude, PyTorch and Keras, by turns: at the paper's size, at the smallest size (what
is left is the host's work), off the GRU's fast path, without tf.function, in small minibatches, with other numbers of classes; the notebook's data work;
what Keras traces and writes. What the results file has is not measured again: a run that was stopped goes on.

    table1.py --data maestro100 --keras-python keras/bin/python --out bench/results/table1.json --page docs/table1.md
    table1.py --quick --keras-python keras/bin/python --out out/table1.json      some minutes, to see that it runs
    table1.py --draw --out bench/results/table1.json --page docs/table1.md       measures nothing
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import (
    DEMO,
    REPOSITORY,
    TABLE_MODELS,
    PeerError,
    machine,
    run_main,
    warn_if_busy,
    write_json,
    write_text,
)
from etude_program import Etude, add_etude_options
from table1_cases import Case, all_cases, side_cases
from table1_report import Report
from table1_svg import picture
from worker_process import LineProcess, Peers

from pages import PageError, commit, plain, put, read_results

FORMAT, VERSION = "etude-table1", 1
WORKER = Path(__file__).resolve().parent / "table1_worker.py"


class Results:
    """The file: every point with its rounds, written after each of them."""

    def __init__(self, path: Path, options: argparse.Namespace) -> None:
        self.path = path
        settings = {key: getattr(options, key) for key in ("rounds", "steps", "seconds", "threads", "quick")}
        settings["data"] = Path(options.data).name
        if path.exists() and not options.fresh:
            self.all = read_results(path, FORMAT, VERSION)
            if not options.draw:
                self.check(settings)
        elif options.draw:
            raise PeerError(f"{path}: no such file; without --draw it is measured")
        else:
            self.all = {
                "format": FORMAT, "version": VERSION, "commit": commit(), "date": time.strftime("%Y-%m-%d"),
                "machine": machine(), "settings": settings, "versions": {}, "points": {}, "side": {}, "data": {},
            }  # fmt: skip

    def check(self, settings: dict[str, Any]) -> None:
        """Goes on only with the same commit, settings and machine; what was skipped is tried again."""
        for key, now in (("commit", commit()), ("settings", settings)):
            if plain(self.all[key]) != plain(now):
                raise PeerError(
                    f"{self.path}: measured with another {key} ({self.all[key]}, now {now}); --fresh begins anew"
                )
        if self.all["machine"]["cpu"] != machine()["cpu"]:
            raise PeerError(f"{self.path}: measured on another machine; --fresh begins anew")
        for part in ("points", "side", "data"):
            self.all[part] = {k: v for k, v in self.all[part].items() if "skipped" not in v}

    def point(self, case: Case) -> dict[str, Any]:
        return self.all["points"].setdefault(case.name, {"case": case.as_dict(), "rounds": []})

    def keep(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.all["machine"]["load_at_end"] = machine()["load"]
        write_json(self.path, self.all)


class Runner:
    """Takes a turn of a case wherever it belongs: `etude step`, or a worker that lives as long as the model."""

    def __init__(self, etude: Etude, options: argparse.Namespace, results: Results) -> None:
        self.etude, self.options, self.results = etude, options, results
        self.pythons = {"torch": options.torch_python, "keras": options.keras_python}
        self.workers: dict[str, LineProcess] = {}
        self.dead: dict[str, str] = {}

    def ask(self, case: Case, what: str, **more: Any) -> dict[str, Any]:
        """A worker that died once is not asked again."""
        threads = case.threads or self.options.threads
        key = f"{case.framework} {threads}"
        if key in self.dead:
            raise PeerError(self.dead[key])
        try:
            if key not in self.workers:
                words = [self.pythons[case.framework], str(WORKER), case.framework, "--threads", str(threads)]
                self.workers[key] = LineProcess(threads, *words)
                self.results.all["versions"].update(self.workers[key].versions)
            return self.workers[key].ask({what: case.as_dict(), **more})
        except PeerError as error:
            self.dead[key] = str(error)
            raise

    def turn(self, case: Case) -> dict[str, Any]:
        steps, seconds = self.options.steps, self.options.seconds
        if case.framework != "etude":
            return self.ask(case, "case", steps=steps, seconds=seconds)
        words = ["--steps", str(steps), "--seconds", str(seconds), "--threads", str(self.options.threads)]
        for key in ("model", "batch", "units", "vocab", "gru"):
            words += [f"--{key}", str(getattr(case, key))]
        answer = json.loads(self.etude.run("step", "--json", *words).stdout)
        if answer.get("format") != "etude-step" or answer.get("version") != 1:
            raise PeerError(f"{self.etude.program}: its `step --json` is of another version than this script")
        return {"ms": [answer["ms_per_step"]["median"]]}

    def close(self) -> None:
        for worker in self.workers.values():
            worker.close()
        self.workers, self.dead = {}, {}


def measure_model(model: str, runner: Runner, peers: Peers, options: argparse.Namespace) -> None:
    results, cases = runner.results, all_cases(model, options.quick)
    for number in range(options.rounds):
        for case in cases:
            point = results.point(case)
            if len(point["rounds"]) > number or "skipped" in point:
                continue
            tell(f"{model}: round {number + 1} of {options.rounds}, {case.name}")
            try:
                answer = runner.turn(case)
            except PeerError as error:
                point["skipped"] = peers.skip(case.title, str(error))
                results.keep()
                continue
            point["rounds"].append(statistics.median(answer["ms"]))
            if "first_ms" in answer:
                point.setdefault("first_ms", answer["first_ms"])
            results.keep()
    for what, case in side_cases(model):
        name = f"{what} {case.name}"
        if name in results.all["side"]:
            continue
        tell(f"{model}: Keras, {what}")
        try:
            results.all["side"][name] = runner.ask(case, what)
        except PeerError as error:
            results.all["side"][name] = {"skipped": peers.skip("Keras", str(error))}
        results.keep()
    runner.close()


def published_feed(etude: Etude, folder: Path) -> dict[str, Any]:
    """Etude's data work in the notebook's way. A group's reading is shared out among its minibatches; all pieces are one here."""
    out = folder / "published"
    etude.run(
        "table", "--data", etude.data, "--as-published", "--models", "attention", "--song-group", "100000",
        "--max-steps", "2", "--threads", str(etude.threads), "--out", str(out),
    )  # fmt: skip
    with open(out / "attention" / "steps.csv", newline="") as file:
        return {"ms": float(next(csv.DictReader(file))["data_ms"])}


def notebook_data(etude: Etude, folder: Path) -> dict[str, Any]:
    """What notebook_data.py finds."""
    out = folder / "notebook.json"
    words = [
        "--etude",
        etude.program,
        "--data",
        etude.data,
        "--threads",
        str(etude.threads),
        "--repeats",
        "1",
    ]
    script = str(WORKER.parent / "notebook_data.py")
    done = subprocess.run(
        [sys.executable, script, *words, "--json", str(out)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PeerError((done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1])
    found = json.loads(out.read_text())
    return {
        "epoch_s": found["notebook"]["epoch"], "minibatches": found["notebook"]["minibatches"],
        "minutes_scaled": found["four_epochs"]["minutes_scaled"], "pieces": found["pieces"],
        "python": sys.version.split()[0],
    }  # fmt: skip


def measure_data(etude: Etude, results: Results, peers: Peers) -> None:
    with tempfile.TemporaryDirectory() as name:
        for what, measure in (("published", published_feed), ("notebook", notebook_data)):
            if what in results.all["data"]:
                continue
            tell(f"data work: {what}")
            try:
                results.all["data"][what] = measure(etude, Path(name))
            except (PeerError, OSError, KeyError, ValueError) as error:
                results.all["data"][what] = {"skipped": peers.skip(what, str(error))}
            results.keep()


def tell(text: str) -> None:
    print(f"{text:78s}", end="\r", file=sys.stderr, flush=True)


def publish(results: dict[str, Any], page_path: Path | None, picture_path: Path | None) -> None:
    report = Report(results)
    tables = report.tables()
    if picture_path:
        write_text(picture_path, picture(report.bars(), report.bars_title()))
    if not page_path:
        print("\n\n".join(f"## {name}\n\n{text}" for name, text in tables.items()))
        return
    page = page_path.read_text()
    for name, text in tables.items():
        page = put(page, f"table1:{name}", text, page_path)
    write_text(page_path, page)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_etude_options(parser)
    for name, what in (
        ("torch", "PyTorch (requirements.txt"),
        ("keras", "TensorFlow (requirements-keras.txt"),
    ):
        parser.add_argument(
            f"--{name}-python", default=sys.executable, metavar="PROGRAM",
            help=f"the Python that has {what}; default: the one that runs this)",
        )  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("out/table1.json"), help="results (%(default)s)")
    parser.add_argument("--page", type=Path, metavar="FILE.md", help="write tables between its marks")
    parser.add_argument("--picture", type=Path, metavar="FILE.svg", help="write the bars there")
    parser.add_argument("--rounds", type=int, default=3, help="of every condition, by turns (%(default)s)")
    parser.add_argument("--steps", type=int, default=2, help="timed steps a round, at least (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.4, help="of a round, at least (%(default)s)")
    parser.add_argument(
        "--quick", action="store_true", help="one round, rnn and double alone, the demo's pieces"
    )
    parser.add_argument("--fresh", action="store_true", help="forget what --out has")
    parser.add_argument("--draw", action="store_true", help="measure nothing: tables and picture of --out")
    options = parser.parse_args()
    if options.rounds < 1 or options.steps < 1 or options.seconds < 0:
        parser.error("at least one round of one step")
    if options.quick:
        options.rounds, options.steps, options.seconds, options.data = 1, 1, 0.0, str(DEMO)
    return options


def main() -> int:
    options = parse()
    try:
        results = Results(options.out, options)
        if not options.draw:
            etude, peers = Etude(options.etude, options.data, options.threads), Peers()
            warn_if_busy()
            runner = Runner(etude, options, results)
            try:
                for model in ("rnn", "double") if options.quick else TABLE_MODELS:
                    measure_model(model, runner, peers, options)
            finally:
                runner.close()
            measure_data(etude, results, peers)
            tell("")
        publish(results.all, options.page, options.picture)
    except (PageError, OSError) as error:
        raise PeerError(str(error)) from error
    except KeyboardInterrupt:
        print(f"\nstopped; the same command goes on with {options.out}", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    run_main(main)
