"""What the scripts that write tables into pages share. Needs Python's own library alone."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any


class PageError(Exception):
    """What the user reads."""


def read_results(path: Path, kind: str, version: int) -> dict[str, Any]:
    """What a script of this kind and version kept."""
    try:
        results = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise PageError(f"{path}: {error}") from error
    if not isinstance(results, dict) or results.get("format") != kind:
        raise PageError(f'{path}: no results of this script (no "format": "{kind}")')
    if results.get("version") != version:
        raise PageError(f"{path}: results of version {results.get('version')}, not {version}")
    return results


def put(page: str, mark: str, content: str, path: Path) -> str:
    """The page with `content` between its two marks of this name."""
    first, last = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, found, rest = page.partition(first)
    _, ended, after = rest.partition(last)
    if not found or not ended:
        raise PageError(f"{path}: no {first} ... {last} in it")
    return f"{before}{first}\n{content}\n{last}{after}"


def commit() -> str:
    """Of the tree that this script lies in; "-dirty" where files are changed."""
    words = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def plain(value: object) -> str:
    """Results that are tracked make the tree dirty themselves: that is no other commit."""
    return str(value).removesuffix("-dirty")
