"""What if an operation were faster: the path of every trace again, with other durations."""
