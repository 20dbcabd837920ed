//! The table against what is served, and what a pod may ask for.

mod powers;
mod table;
