"""The scripts lie at the top of the repository: let the tests import them from any working directory."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
