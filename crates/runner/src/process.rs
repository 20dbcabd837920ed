//! From a container of a pod to the process that stands for it: arguments, environment, directory. Pure.
