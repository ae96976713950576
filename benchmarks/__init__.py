"""Commands that print figures: times, memory, and speeds beside others in one run."""
