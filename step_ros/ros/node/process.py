"""The process `perception`: arguments, signals and exit codes around the node."""

from __future__ import annotations

import os
import sys
from typing import Any

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException
from rclpy.utilities import remove_ros_args

from step_ros.ros.node.executor import CallbackExecutor
from step_ros.ros.node.parameters import value_of
from step_ros.ros.processes.stop_signals import Stopped, StopSignals
from step_ros.runs.parameters import describe_parameters

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
  ~/annotated_image/compressed   sensor_msgs/CompressedImage: drawn while somebody listens
  /diagnostics                   diagnostic_msgs/DiagnosticArray
serves
  ~/reset                        std_srvs/Trigger: forget all images
  ~/change_state, ~/get_state    lifecycle_msgs: a managed node, which by default starts itself (autostart)

parameters
"""


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to stop; returns the exit code."""
    arguments = sys.argv if args is None else ["perception", *args]
    own = remove_ros_args(arguments)[1:]
    if "--help" in own or "-h" in own:
        print(USAGE + describe_parameters())
        return 0
    if own:
        print(f"perception: unknown arguments {' '.join(own)}; see --help", file=sys.stderr)
        return 2
    node = None
    ended = True
    with StopSignals() as signals:
        try:
            rclpy.init(args=arguments)
            # Torch takes seconds to import: --help does not wait for it, and Ctrl-C ends it cleanly.
            from step_ros.ros.node.node import EXECUTOR_THREADS, PerceptionNode

            node = PerceptionNode()
            executor = CallbackExecutor(EXECUTOR_THREADS)
            executor.add_node(node)
            signals.running()
            code = _spin(node, executor)
        except (Stopped, ExternalShutdownException):
            code = 0
        except (ParameterException, ValueError, RuntimeError, OSError) as error:
            # What the models' loaders raise; a traceback would tell the user nothing more.
            print(f"perception: cannot start: {error}", file=sys.stderr)
            code = 1
        finally:
            signals.running()
            if node is not None:
                ended = node.close()
                if ended:
                    node.destroy_node()
            rclpy.try_shutdown()
        if not ended:
            # An engine's build, say, cannot be interrupted, and Python would wait for it.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return code


def _spin(node: Any, executor: CallbackExecutor) -> int:
    """Spin until told to stop, or until the node cannot start; returns the exit code."""
    failures: list[str] = []
    if value_of(node, "autostart"):

        def fail(reason: str) -> None:
            failures.append(reason)
            executor.wake()

        node.start(fail)
    while node.context.ok() and not failures:
        try:
            executor.spin_once(timeout_sec=1.0)
        except (Stopped, ExternalShutdownException):
            break
        except Exception as error:  # of a callback: no message may take the node down
            if node.context.ok():
                node.note_callback_error(error)
    if failures and node.context.ok():
        print(f"perception: cannot start: {failures[0]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
