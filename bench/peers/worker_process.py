"""The parent's side of a process that answers lines of JSON: worker.py, and the layers of gru_layer.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

from common import PeerError

WORKER = Path(__file__).resolve().parent / "worker.py"
TIMEOUT = 900  # seconds; a compiler may need minutes for the first step


class LineProcess:
    """Says `{"versions": ...}` when it is ready, answers each line, sleeps while nobody asks, ends with its
    standard input. Every failure is a PeerError that says why.
    """

    def __init__(self, threads: int, *command: str) -> None:
        self.messages = tempfile.TemporaryFile("w+")
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.messages, text=True,
                env=environment,
            )  # fmt: skip
        except OSError as error:
            raise PeerError(f"{command[0]}: {error.strerror}") from error
        try:
            self.hello = self._answer()
        except BaseException:
            self.close()
            raise
        self.versions: dict[str, str] = self.hello["versions"]

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        into: IO[str] = self.process.stdin  # type: ignore[assignment]
        try:
            into.write(json.dumps(request) + "\n")
            into.flush()
        except OSError:
            pass  # it has ended: reading says why
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        outof: IO[str] = self.process.stdout  # type: ignore[assignment]
        late = threading.Timer(TIMEOUT, self.process.kill)
        late.start()
        try:
            return json.loads(outof.readline())
        except ValueError as error:
            raise PeerError(self._why()) from error
        finally:
            late.cancel()

    def _why(self) -> str:
        status = self.process.wait()
        self.messages.seek(0)
        lines = self.messages.read().strip().splitlines()
        told = [line for line in lines if line.startswith("error: ")]
        if told:
            return told[-1].removeprefix("error: ")
        how = f"was ended by signal {-status}" if status < 0 else f"ended with {status}"
        return f"its process {how}{': ' + lines[-1] if lines and status > 0 else ''}"

    def close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                try:
                    stream.close()
                except OSError:
                    pass
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.messages.close()


class Worker(LineProcess):
    """One model in one framework, in a Python of its own."""

    def __init__(self, framework: str, python: str, threads: int, *words: str) -> None:
        super().__init__(threads, python, str(WORKER), framework, "--threads", str(threads), *words)

    def steps(self, count: int, first: int | None = None) -> dict[str, Any]:
        """Trains on the next `count` minibatches, or on those from `first` on: ms, losses, peak_mib."""
        return self.ask({"steps": count} if first is None else {"steps": count, "first": first})


class Peers:
    """Names each peer that is missing once on stderr."""

    def __init__(self) -> None:
        self.told: set[tuple[str, str]] = set()

    def skip(self, name: str, reason: str) -> str:
        if (name, reason) not in self.told:
            print(f"{name} skipped: {reason}", file=sys.stderr)
            self.told.add((name, reason))
        return reason
