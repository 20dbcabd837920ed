//! The shim: one small process that starts children, reaps them, owns their pipes, and outlives the engine.
