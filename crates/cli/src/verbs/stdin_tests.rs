//! What a job gets, case by case.

use windlass::manifest::{Base, make};
use windlass::model::{JobRequest, Place};

use super::*;
use crate::args::high::Work;
use crate::args::low::OnInterrupt;
use crate::verbs::env_file::EnvFiles;

fn request() -> JobRequest {
    JobRequest::new(vec!["cat".to_owned()], Place::Host)
}

fn decide_for(request: JobRequest, stdin: PassStdin, tty: bool, kind: Kind) -> Result<Stdio, String> {
    let base = Base::Request(Box::new(request));
    let manifest = make(&base, &[]).unwrap();
    let options = RunOptions {
        tasks: None,
        work: Work::Command(base, Vec::new()),
        env_files: EnvFiles::default(),
        detach: false,
        id: None,
        on_interrupt: OnInterrupt::Cancel,
        fail_fast: true,
        give_up_after: None,
        stop_sidecars: false,
        result_file: None,
        logs: false,
        log_dir: None,
        stdin,
        tty,
    };
    Stdio::decide(&options, kind, &manifest).map_err(|failure| failure.to_string())
}

fn decide(stdin: PassStdin, tty: bool, kind: Kind) -> Result<Stdio, String> {
    decide_for(request(), stdin, tty, kind)
}

#[test]
fn what_is_piped_is_passed_on_and_a_terminal_only_if_asked_for() {
    use PassStdin::{Always, Never, Piped};
    for (stdin, kind, expected) in [
        (Piped, Kind::Bytes, Stdio::Bytes),
        (Piped, Kind::Terminal, Stdio::Nothing),
        (Piped, Kind::Nothing, Stdio::Nothing),
        (Always, Kind::Terminal, Stdio::Bytes),
        (Always, Kind::Bytes, Stdio::Bytes),
        (Always, Kind::Nothing, Stdio::Nothing),
        (Never, Kind::Bytes, Stdio::Nothing),
        (Never, Kind::Terminal, Stdio::Nothing),
    ] {
        assert_eq!(decide(stdin, false, kind), Ok(expected), "{stdin:?} {kind:?}");
    }
}

#[test]
fn terminal_is_typed_to_where_there_is_one() {
    use PassStdin::{Always, Never, Piped};
    assert_eq!(decide(Piped, true, Kind::Terminal), Ok(Stdio::Terminal { stdin: true }));
    assert_eq!(decide(Never, true, Kind::Terminal), Ok(Stdio::Terminal { stdin: false }));
    assert_eq!(decide(Piped, true, Kind::Nothing), Ok(Stdio::Terminal { stdin: false }));
    assert_eq!(decide(Never, true, Kind::Bytes), Ok(Stdio::Terminal { stdin: false }));
    assert!(decide(Always, true, Kind::Bytes).unwrap_err().contains("--no-stdin"));
}

#[test]
fn stdin_is_not_shared_among_pods_or_attempts() {
    let changed = |change: fn(&mut JobRequest)| {
        let mut request = request();
        change(&mut request);
        decide_for(request, PassStdin::Piped, false, Kind::Bytes)
    };
    assert!(changed(|request| request.completions = Some(3)).unwrap_err().contains("3 pods"));
    assert!(changed(|request| request.parallelism = Some(2)).unwrap_err().contains("2 pods"));
    assert!(changed(|request| request.retries = 1).unwrap_err().contains("2 attempts"));
    assert_eq!(changed(|request| request.completions = Some(1)), Ok(Stdio::Bytes));
    let mut several = request();
    several.completions = Some(3);
    assert_eq!(decide_for(several, PassStdin::Piped, false, Kind::Nothing), Ok(Stdio::Nothing));
}
