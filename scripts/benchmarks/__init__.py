"""The subjects of benchmark.py, a module each. A subject adds its own arguments to the command, and runs."""
