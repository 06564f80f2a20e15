"""Instruments: benchmarks on real parts, synthetic counties, a rendered visitor; no service needs them."""
