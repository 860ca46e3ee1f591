"""Programs of `tbx-keras demo`, complete and meant to be read."""
