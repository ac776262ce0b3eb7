"""STEP and its rivals frame by frame: the answer over the whole window at the price of one frame."""
