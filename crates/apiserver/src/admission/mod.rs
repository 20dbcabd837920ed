//! What a namespace's quotas and limit ranges say to a new object. Pure: objects in, a verdict out; who reads the
//! quotas and writes what is used is `registry`'s and the engine's matter.
//!
//! Source: upstream's admission plugins LimitRanger (plugin/pkg/admission/limitranger) and ResourceQuota (apiserver,
//! pkg/admission/plugin/resourcequota), and pkg/quota/v1/evaluator/core.

mod amounts;
pub(crate) mod limit_range;
mod pods;
mod quota;
mod scopes;
#[cfg(test)]
mod tests;
mod usage;

pub use amounts::Amounts;
pub use quota::{Quota, Shift, charge};
pub use usage::{Counting, fades, usage};
