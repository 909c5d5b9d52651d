"""Builds this package with colcon; pip builds the whole tree by the pyproject.toml at its top."""

import os
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

sys.path.insert(0, os.getcwd())  # colcon runs this file in its folder

from build_runtime import MODULE, NoRuntime, build

NAME = "wm_dynamics"


class BuildRuntime(build_ext):
    """Compiles the C++ engine where there is a compiler; without it torch imagines."""

    def build_extension(self, ext):
        target = Path(self.get_ext_fullpath(ext.name))
        try:
            file = build(Path(self.build_temp) / "runtime")
        except NoRuntime as error:
            self.warn(f"no C++ engine, imagination will run in torch: {error}")
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        self.copy_file(str(file), str(target))


setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    ext_modules=[Extension(MODULE, [], optional=True)],
    cmdclass={"build_ext": BuildRuntime},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    maintainer="wm-drive contributors",
    maintainer_email="maintainers@example.org",
    license="Apache-2.0",
    zip_safe=False,
)
