//! Scheduling onto the one node: which pods may run, and in plain words why the others wait.
