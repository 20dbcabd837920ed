//! What tests of other crates need of this one.
