//! The real binary on homes of its own: what a person, a script and a CI job see.
//!
//! Each test has its own home and engine, ended with it. No test can reach a cluster of the person who runs it: the
//! environment is empty but for what is given here.

mod home;

mod array;
mod bulk;
mod completion;
mod cron;
mod definitions;
mod devices;
mod engine;
mod ephemeral;
mod files;
mod formats;
mod full_disk;
mod helper;
mod helper_batch;
mod idle;
mod interrupts;
mod jobs;
mod kills;
mod logs;
mod mistakes;
mod network;
mod options;
mod plan;
mod readme;
mod references;
mod rights;
mod run;
mod service;
mod ssh;
mod stdin;
mod storm;
mod tasks;
mod terminal;
mod testing;
mod truth;
mod tty;
mod versions;
mod which_cluster;
