"""Builds this package with colcon; pip builds the whole tree by the pyproject.toml at its top."""

from glob import glob

from setuptools import find_packages, setup

NAME = "wm_training"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={f"{NAME}.view": ["page/*", "page/js/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"lib/{NAME}", sorted(glob("scripts/*"))),
    ],
    entry_points={"console_scripts": ["wm = wm_training.cli:main"]},
    maintainer="wm-drive contributors",
    maintainer_email="maintainers@example.org",
    license="Apache-2.0",
    zip_safe=False,
)
