"""Faces: catalogue, conversion, detection, alignment, quality, embedding, comparison, evaluation."""
