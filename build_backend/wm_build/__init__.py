"""Build backend of the tree: Python packages, compiled ROS messages and ROS resources."""
