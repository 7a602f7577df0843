"""Lets the tests of this folder and of those in it import what they share."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), *(str(HERE / name) for name in ('providers', 'wire'))]
