"""What warm processes have ready beside modules: our code compiled, by its text.

Every test has a copy of the project with no compiled code in it, or one where Python is told to write none.
"""

from __future__ import annotations

import _imp
import importlib.machinery
import types
from pathlib import Path
from typing import Any

STAGES = Path(__file__).parents[2] / "stages"

Compiled = dict[bytes, types.CodeType]


def compile_ours() -> Compiled:
    """Return our modules compiled, by their text."""
    texts = {file.read_bytes(): file for file in STAGES.rglob("*.py")}
    return {text: compile(text, file, "exec", dont_inherit=True) for text, file in texts.items()}


def take(compiled: Compiled) -> None:
    """Let imports take what is compiled, where the text is the same; in a process of one command alone."""
    compiles = importlib.machinery.SourceFileLoader.source_to_code

    def source_to_code(self: Any, data: Any, path: Any, **options: Any) -> Any:
        code = compiled.pop(data, None) if isinstance(data, bytes) else None
        if code is None:
            return compiles(self, data, path, **options)
        # As Python does with code from a `.pyc` file. It alters the code, so nobody else may get the same.
        _imp._fix_co_filename(code, str(path))  # type: ignore[attr-defined] # private to Python
        return code

    importlib.machinery.SourceFileLoader.source_to_code = source_to_code  # type: ignore[method-assign]
