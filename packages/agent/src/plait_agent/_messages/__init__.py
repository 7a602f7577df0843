"""The records that messages are made of, one idea a room; `plait_agent.messages` is their door."""
