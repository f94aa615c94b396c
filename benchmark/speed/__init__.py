"""What the suite claims about its speed, measured: ``python -m benchmark.speed``."""
