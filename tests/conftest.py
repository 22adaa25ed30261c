"""What all tests share: the scripts at the top of the repository, and TensorFlow."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


@pytest.fixture(scope="session")
def tensorflow():
    """TensorFlow, silent and with one thread as in the scripts: a process can choose that only once."""
    from p4_human_machine import load_tensorflow
    return load_tensorflow()


@pytest.fixture(scope="session")
def keras(tensorflow):
    return tensorflow.keras
