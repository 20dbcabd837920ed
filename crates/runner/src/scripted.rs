//! A runtime that runs nothing and answers from a script: for tests and simulation.
