//! Reading the logs that the shim writes (CRI line format).
