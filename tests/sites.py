"""Sites for tests in this process: a folder with a config and modules, built into a stack."""

from __future__ import annotations

import textwrap
from pathlib import Path

from dispatcher import catalog, compose, config
from dispatcher.compose import Stack


def write(folder: Path, text: str, **modules: str) -> Path:
    """The path of a `config.yaml` with `text`, and beside it modules (``name="source"``)."""
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(source))
    file = folder / "config.yaml"
    file.write_text(textwrap.dedent(text))
    return file


def build(folder: Path, text: str, **modules: str) -> Stack:
    """The stack of such a site; use it with the fixture `forget`."""
    return compose.build(config.read(write(folder, text, **modules), options=catalog.OPTIONS))
