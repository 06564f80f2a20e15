"""Measures the path from device to store on real parts: broker, TLS, signatures, databases."""
