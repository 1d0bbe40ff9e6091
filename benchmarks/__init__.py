"""The benchmarks: `python -m benchmarks` prints each measured ratio beside the number that is asked."""
