"""AWS, as far as the data path needs it. The SDK is imported when the first transport is made, not before."""
