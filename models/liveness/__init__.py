"""Presentation attack detection (ISO/IEC 30107-3): signals, each in a file of its own, and their fusion."""
