//! What a job will need of a cluster, told before it is submitted; what the cluster has is its caller's to ask.

mod difference;
mod image;
mod needs;
mod room;

pub use difference::{Change, difference};
pub use image::image_fault;
pub use needs::{Named, Needs, needs};
pub use room::{filled, fits, over_quota};

#[cfg(test)]
mod tests;
