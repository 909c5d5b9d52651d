"""Builds this package with colcon; pip builds the whole tree by the pyproject.toml at its top."""

import os
from glob import glob

from setuptools import find_packages, setup

NAME = "wm_planner"

TOP = os.path.join("..", "..")
SHARED = ("launch", "config", "models")


def shared_files():
    """Files of the top-level folders by the folder they install to, as setuptools wants them."""
    for name in SHARED:
        for folder, _, files in os.walk(os.path.join(TOP, name)):
            paths = [os.path.join(folder, file) for file in files if not file.endswith(".pyc")]
            yield f"share/{NAME}/{os.path.relpath(folder, TOP)}", paths


setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"lib/{NAME}", sorted(glob("scripts/*"))),
        *shared_files(),
    ],
    maintainer="wm-drive contributors",
    maintainer_email="maintainers@example.org",
    license="Apache-2.0",
    zip_safe=False,
)
