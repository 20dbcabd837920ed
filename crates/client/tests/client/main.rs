//! The library against a scripted API server. One binary, because each one links all of kube.

mod acts;
mod logs;
mod submit;
mod support;
mod wait;
