//! The engine seen by plain Kubernetes clients: one program, so that it is linked once.

mod attach;
mod claims;
mod clients;
mod clock;
mod crons;
mod devices;
mod exec;
mod fates;
mod garbage;
mod hard;
mod jobs;
mod kube_rs;
mod kubectl;
mod limits;
mod messages;
mod node;
mod pages;
mod priorities;
mod probes;
mod quotas;
mod rest;
mod rights;
mod room;
mod support;
mod tokens;
mod volumes;
