"""What `tbx-keras demo` runs: complete programs, meant to be read."""
