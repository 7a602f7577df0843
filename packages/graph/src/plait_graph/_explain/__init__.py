"""What a log of events tells about a run: pure functions from events to frozen records."""
