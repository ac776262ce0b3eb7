"""STEP and its rivals frame by frame, the whole window at the price of one; README.md has the algebra."""
