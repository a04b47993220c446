"""AWS without the SDK: signed JSON over kept connections, for the calls of the data path."""
