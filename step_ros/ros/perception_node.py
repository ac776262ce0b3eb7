"""The process `perception`: arguments, signals and exit codes around the node."""

from __future__ import annotations

import sys

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.utilities import remove_ros_args

from step_ros.ros.parameters import describe_parameters
from step_ros.ros.stop_signals import Stopped, StopSignals

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
  ~/<task>/stable                vision_msgs/Classification: when the filtered label changes; latched
  ~/<task>/labels                vision_msgs/LabelInfo: all labels; latched
  ~/annotated_image/compressed   sensor_msgs/CompressedImage: drawn while somebody listens
  /diagnostics                   diagnostic_msgs/DiagnosticArray
serves
  ~/reset                        std_srvs/Trigger: forget all images

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
    with StopSignals() as signals:
        try:
            rclpy.init(args=arguments)
            # Torch takes seconds to import: --help does not wait for it, and Ctrl-C ends it cleanly.
            from step_ros.ros.node import PerceptionNode

            node = PerceptionNode()
            executor = SingleThreadedExecutor()
            executor.add_node(node)
            signals.running()
            executor.spin()
        except (Stopped, ExternalShutdownException):
            pass
        except (ParameterException, ValueError, RuntimeError, OSError) as error:
            # What the models' loaders raise; a traceback would tell the user nothing more.
            print(f"perception: cannot start: {error}", file=sys.stderr)
            return 1
        finally:
            signals.running()
            if node is not None:
                node.close()
                node.destroy_node()
            rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
