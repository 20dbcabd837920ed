//! What an array's tasks are told, as both sides read it: who submits the array, and the helper in its pods.
//!
//! [`words`] is what stands in braces in a command, [`items`] the file with a line a task. Both need neither the
//! standard library nor memory of their own, because the helper has neither. It knows no Kubernetes and no job.
#![no_std]

pub mod items;
pub mod words;
