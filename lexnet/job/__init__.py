"""The main job: pictures → plan → features → head → scores → bundle → report."""
