"""The alias ``kedro-dolt`` of ``kedro new --starter``."""

from __future__ import annotations

from pathlib import Path

from kedro.framework.cli.starters import KedroStarterSpec

_PACKAGE = Path(__file__).resolve().parent
_BUNDLED = _PACKAGE / "template"

# An editable install has no bundled copy: there the template is the repository itself.
starters = [
    KedroStarterSpec("kedro-dolt", template_path=str(_BUNDLED if _BUNDLED.is_dir() else _PACKAGE.parents[1]))
]
