"""Constants, kinematics, beams, radiation; pure functions."""
