"""Where credentials come from, in the cases that are simple enough to be done without botocore."""
