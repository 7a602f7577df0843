"""Runs: a pure scheduler, and a driver that awaits for it."""
