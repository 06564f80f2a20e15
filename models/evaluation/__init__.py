"""Measures an engine on photographs, as ISO/IEC 19795-1 has it."""
