"""What says when a test runs; apart, since `conftest.py` makes `slow` known before this is read."""

import sys

import pytest

slow = pytest.mark.slow
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and devices are POSIX's")
linux = pytest.mark.skipif(sys.platform != "linux", reason="this is Linux's alone")
