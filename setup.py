"""Builds with `colcon build` in a ROS 2 workspace, and installs with `pip install .` where there is no ROS.

The metadata stands here because the setuptools of ROS 2 Humble does not read it from pyproject.toml.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "step_ros"
SHARED_FOLDERS = ("launch", "config", "models", "bags")


def version() -> str:
    """The version that package.xml states; there is no second place to change."""
    return re.search(r"<version>(.+?)</version>", Path("package.xml").read_text())[1]


def shared_files() -> list[tuple[str, list[str]]]:
    """Every file below the shared folders, to stand at the same place below share/step_ros."""
    files: dict[str, list[str]] = {}
    for folder in SHARED_FOLDERS:
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                files.setdefault(f"share/{PACKAGE}/{path.parent.as_posix()}", []).append(path.as_posix())
    return list(files.items())


# What some commands and engines need beyond that: step_ros/extras.py names the extra where it is missing.
TABLETOP = ["mujoco>=3.2", "scipy>=1.10"]
# Engines, each used where it is installed.
OPENVINO = ["openvino>=2024.6"]
ONNX = ["onnx>=1.16", "onnxruntime>=1.18", "onnxscript>=0.2"]
TENSORRT = ["torch-tensorrt>=2.6"]
DOCS = ["mkdocs-material>=9.5"]
# Several processes at once, and curves.
TRAINING = ["accelerate>=0.34", "tensorboard>=2.14"]
TEST = [
    "catkin_pkg>=1.0",
    "hypothesis>=6.100",
    "mypy>=1.11",
    "pytest>=6.2",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.5",
    "ruff>=0.9",
    "selenium>=4.20",
    "torchmetrics>=1.4",
]
# What `make setup` installs.
DEVELOPMENT = [*DOCS, *ONNX, *OPENVINO, *TABLETOP, *TEST, *TRAINING]

setup(
    name=PACKAGE,
    version=version(),
    description="Real-time action perception on ROS 2: one frozen vision backbone, light STEP probes",
    license="Apache-2.0",
    author="step_ros maintainers",
    maintainer="step_ros maintainers",
    python_requires=">=3.10",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={
        "": ["py.typed", "*.css", "*.html", "*.js", "*.json", "*.xml", "*.yaml"],
        f"{PACKAGE}.report": ["page/*"],
    },
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        *shared_files(),
    ],
    zip_safe=False,
    # All that replay, report, extract, train and evaluate need.
    install_requires=[
        "av>=12.0",
        "huggingface_hub>=0.30",
        "jinja2>=3.1",
        "matplotlib>=3.8",
        "numpy>=1.21",
        "opencv-python-headless>=4.8",
        "pillow>=9.2",
        "pydantic>=2.5",
        "pyyaml>=5.4",
        "rich>=13.0",
        "rosbags>=0.11",
        "safetensors>=0.4",
        "scikit-learn>=1.3",
        "torch>=2.4",
        "transformers>=4.50",
        "tyro>=0.9",
    ],
    extras_require={
        "development": DEVELOPMENT,
        "tabletop": TABLETOP,
        "training": TRAINING,
        "docs": DOCS,
        "rerun": ["rerun-sdk>=0.22"],
        "openvino": OPENVINO,
        "onnx": ONNX,
        "tensorrt": TENSORRT,
        "test": TEST,
    },
    # What `colcon test` looks at to choose pytest.
    tests_require=["pytest"],
    entry_points={
        "console_scripts": [
            "perception = step_ros.ros.programs:perception",
            "bag_player = step_ros.ros.programs:bag_player",
            "demo = step_ros.ros.programs:demo",
            "step-ros = step_ros.cli:main",
        ],
    },
)
