"""The top-level folders are the sub-packages of ``renzheng``; everything else stands in pyproject.toml."""

from setuptools import find_packages, setup

HOUSE = ("contracts", "models", "edge", "central", "rules", "deploy")

setup(
    packages=[
        f"renzheng.{name}" for name in find_packages(include=[*HOUSE, *(f"{folder}.*" for folder in HOUSE)])
    ],
)
