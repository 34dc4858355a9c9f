"""The packages: those in folders of their names, and the examples, which lie beside them but belong to one."""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["architectures*", "workbench*", "sweeps*", "analysis*"]),
        "workbench.examples",
    ],
    package_dir={"workbench.examples": "examples"},
)
