//! The library against a scripted API server, and against a small one in bad weather. One binary, because each one
//! links all of kube.

mod acts;
mod array;
mod batch;
mod chance;
mod cron;
mod definitions;
mod leftovers;
mod logs;
mod model;
mod plan;
mod retention;
mod storm;
mod submit;
mod support;
mod tasks;
mod trouble;
mod truth;
mod turns;
mod wait;
mod weather;
