"""The DVC stages: stage X is `stages/X.py`. A project puts its own code here."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

# In Perenne's own repository the library lies beside the stages. They run with the library of their own
# commit, in a clone or a worktree too, not with the one that is installed. Only `perenne` becomes importable.
_LIBRARY = Path(__file__).with_name("perenne") / "__init__.py"
if "perenne" not in sys.modules and _LIBRARY.exists():
    _spec = spec_from_file_location("perenne", _LIBRARY)
    if _spec and _spec.loader:
        sys.modules["perenne"] = module_from_spec(_spec)
        _spec.loader.exec_module(sys.modules["perenne"])
