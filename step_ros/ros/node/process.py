"""The process `perception`: arguments, signals and exit codes around the node."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from step_ros.ros.processes.orderly_end import OrderlyEnd, leave
from step_ros.ros.processes.shared_memory import SharedMemoryError, shared_memory_or_udp

USAGE = """\
usage: ros2 run step_ros perception [--help] [--ros-args ARGUMENT ...]

Names what happens in front of a camera: one label for each task, from the last seconds of images.

  ros2 run step_ros perception --ros-args -r image:=/camera/image_raw
  ros2 run step_ros perception --ros-args -r image:=/camera/image_raw -p image_transport:=compressed
  ros2 run step_ros perception --ros-args --params-file perception.yaml

subscribes
  image                          sensor_msgs/Image; with image_transport:=compressed instead
  image/compressed               sensor_msgs/CompressedImage
publishes
  ~/<task>                       vision_msgs/Classification: the top_k labels, stamped as the newest image
  ~/<task>/stable                vision_msgs/Classification: when the filtered label changes; latched, and
                                 empty while nothing is to be believed
  ~/<task>/direction             vision_msgs/Classification: what the window read backwards says of the label
  ~/<task>/labels                vision_msgs/LabelInfo: all labels; latched
  ~/alive                        std_msgs/Header: the newest image's, twice a second while labels hold
  ~/annotated_image/compressed   sensor_msgs/CompressedImage: drawn while somebody listens
  /diagnostics                   diagnostic_msgs/DiagnosticArray
  bond                           bond/msg/Status: while active, with a bond_heartbeat_period; subscribed, too
serves
  ~/reset                        std_srvs/Trigger: forget all images
  ~/change_state, ~/get_state    lifecycle_msgs: a managed node, which by default starts itself (autostart)

parameters
"""

LOOK_PERIOD = 0.1
"""Seconds between two looks at whether a signal has come, which does not wake the executor."""


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to stop, and end the process; returns only if the node is not to run."""
    # Whatever takes time to import comes after this: Ctrl-C ends the process cleanly from here on.
    with OrderlyEnd() as end:
        arguments = sys.argv if args is None else ["perception", *args]
        try:
            with shared_memory_or_udp() as shared_memory:
                answered = _answer(arguments)
                if answered is not None:
                    return answered
                code = _run(arguments, end, shared_memory)
        except SharedMemoryError as error:
            print(f"perception: cannot start: {error}", file=sys.stderr)
            return 1
        leave(code)


def _answer(arguments: Sequence[str]) -> int | None:
    """What is said instead of running the node: the exit code, or None if it shall run."""
    from rclpy.utilities import remove_ros_args

    own = remove_ros_args(arguments)[1:]
    if "--help" in own or "-h" in own:
        from step_ros.runs.parameters import describe_parameters

        print(USAGE + describe_parameters())
        return 0
    if own:
        print(f"perception: unknown arguments {' '.join(own)}; see --help", file=sys.stderr)
        return 2
    return None


def _run(arguments: Sequence[str], end: OrderlyEnd, shared_memory: str) -> int:
    """Run the node, and take its labels back at the end; returns the exit code.

    Args:
        arguments: with the program's name.
        end: asks for the end.
        shared_memory: why there is none; empty if there is.
    """
    import rclpy
    from rclpy.exceptions import ParameterException
    from rclpy.signals import SignalHandlerOptions

    from step_ros.ros.node.executor import CallbackExecutor
    from step_ros.ros.node.node import EXECUTOR_THREADS, PerceptionNode

    end.in_order()
    node = None
    try:
        # With rclpy's own handlers, a signal would end all communication before labels are taken back.
        rclpy.init(args=list(arguments), signal_handler_options=SignalHandlerOptions.NO)
        node = PerceptionNode(shared_memory)
        executor = CallbackExecutor(EXECUTOR_THREADS)
        executor.add_node(node)
        code = _spin(node, executor, end)
    except (ParameterException, ValueError, RuntimeError, OSError) as error:
        # What the models' loaders raise; a traceback would tell the user nothing more.
        print(f"perception: cannot start: {error}", file=sys.stderr)
        code = 1
    if node is not None:
        node.stop()
        node.destroy_node()
    rclpy.try_shutdown()
    return code


def _spin(node: Any, executor: Any, end: OrderlyEnd) -> int:
    """Spin until told to stop, or until the node cannot start; returns the exit code."""
    from rclpy.executors import ExternalShutdownException

    from step_ros.ros.node.parameters import value_of

    failures: list[str] = []
    if value_of(node, "autostart"):

        def fail(reason: str) -> None:
            failures.append(reason)
            executor.wake()

        node.start(fail)
    while node.context.ok() and not end.asked and not failures:
        try:
            executor.spin_once(timeout_sec=LOOK_PERIOD)
        except ExternalShutdownException:
            break
        except Exception as error:  # of a callback: no message may take the node down
            if node.context.ok():
                node.note_callback_error(error)
    if failures and not end.asked and node.context.ok():
        print(f"perception: cannot start: {failures[0]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
