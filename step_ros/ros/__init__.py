"""The ROS 2 side: the node, the bag player, the planner's client and the demo. The only room with rclpy."""
