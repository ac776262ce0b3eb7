"""`python -m step_ros.cli` is `step-ros`."""

from step_ros.cli import main

main()
