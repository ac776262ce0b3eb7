"""The built-in world: rendered scenes in which a hand does things to things, in both directions."""

import os

# MuJoCo reads it once, when it is imported: no window is ever opened.
os.environ.setdefault("MUJOCO_GL", "egl")
