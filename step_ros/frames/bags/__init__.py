"""Recordings: reading rosbag2 folders and files, what can be salvaged of damaged ones, writing new ones."""
