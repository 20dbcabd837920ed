//! What interrupts do, one after the other, while the cluster does not answer.

use windlass::manifest::Base;
use windlass::model::{JobRequest, Place};

use super::*;
use crate::args::high::{PassStdin, Work};
use crate::verbs::env_file::EnvFiles;

fn options(on_interrupt: OnInterrupt) -> RunOptions {
    RunOptions {
        tasks: None,
        work: Work::Command(
            Base::Request(Box::new(JobRequest::new(vec!["cat".to_owned()], Place::Host))),
            Vec::new(),
        ),
        env_files: EnvFiles::default(),
        detach: false,
        id: None,
        on_interrupt,
        fail_fast: true,
        give_up_after: None,
        stop_sidecars: false,
        result_file: None,
        logs: false,
        log_dir: None,
        stdin: PassStdin::Piped,
        tty: false,
    }
}

/// A follower whose requests are never sent, because nothing drives them.
fn follower(options: &RunOptions) -> Follower<'_> {
    let client = kube::Client::try_from(kube::Config::new("http://127.0.0.1:9".parse().unwrap())).unwrap();
    let manager = JobManager::new(client, "lab");
    Follower::new(manager, "train", "me", Notes { quiet: true }, options)
}

#[tokio::test]
async fn each_interrupt_is_heard_while_the_cluster_does_not_answer() {
    let options = options(OnInterrupt::Cancel);
    let mut follower = follower(&options);
    assert_eq!(follower.interrupted(Interrupt::Stop), None);
    assert!(follower.stage == Stage::Cancelling && follower.order.is_some());
    assert_eq!(follower.interrupted(Interrupt::Stop), None);
    assert!(follower.stage == Stage::Killing && follower.order.is_some());
    assert_eq!(follower.interrupted(Interrupt::Stop), Some(Ok(Exit::INTERRUPTED)));
}

#[tokio::test]
async fn a_hang_up_never_makes_an_end_harder() {
    let options = options(OnInterrupt::Cancel);
    let mut first = follower(&options);
    assert_eq!(first.interrupted(Interrupt::HangUp), Some(Ok(Exit::INTERRUPTED)));
    assert!(first.stage == Stage::Following && first.order.is_none());
    // What was asked for is waited for, once.
    let mut later = follower(&options);
    later.interrupted(Interrupt::Stop);
    assert_eq!(later.interrupted(Interrupt::HangUp), None);
    assert!(later.stage == Stage::Cancelling);
    assert_eq!(later.answered(Ok(())), Some(Ok(Exit::INTERRUPTED)));
    let mut twice = follower(&options);
    twice.interrupted(Interrupt::Stop);
    twice.interrupted(Interrupt::HangUp);
    assert_eq!(twice.interrupted(Interrupt::HangUp), Some(Ok(Exit::INTERRUPTED)));
}

#[tokio::test]
async fn a_cancelling_that_fails_says_that_the_job_may_go_on() {
    let options = options(OnInterrupt::Cancel);
    let mut follower = follower(&options);
    follower.interrupted(Interrupt::Stop);
    let end =
        follower.answered(Err(Failure::new("lab", "does not answer"))).unwrap().unwrap_err().to_string();
    assert!(end.contains("may go on") && end.contains("windlass cancel train"), "{end}");
}

#[tokio::test]
async fn a_terminal_that_is_lost_leaves_its_job_alone() {
    let options = options(OnInterrupt::Cancel);
    let mut shown = follower(&options);
    let lost = Passed::TerminalLost(Failure::new("train", "gone"));
    let end = shown.passed(Ok(lost)).unwrap().unwrap_err().to_string();
    assert!(end.contains("the job goes on") && shown.order.is_none(), "{end}");
    // One that was never there would let the job wait for ever.
    let mut never = follower(&options);
    assert_eq!(never.passed(Err(Failure::new("train", "gone"))), None);
    assert!(never.stage == Stage::Cancelling && never.never.is_some());
}
