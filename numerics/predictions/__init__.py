"""What the flow does not say: the oscillation itself, its onset, delays, the horizon of tracking."""
