//! Devices that are declared: for tests, and for what the engine does not find.

use crate::home::Home;

#[test]
fn declared_gpus_are_given_one_by_one_and_kept_by_the_next_engine() {
    let home = Home::new();
    let ended = home.windlass(&["up", "--resource", "nvidia.com/gpu=2", "--resource=example.com/probe=1"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("resource nvidia.com/gpu: 2, for pods that request some"), "{ended:?}");
    let asks = r#"echo "$CUDA_VISIBLE_DEVICES""#;
    assert_eq!(home.ok(&["run", "-q", "--gpu", "2", "--", "sh", "-c", asks]), "0,1\n");
    assert_eq!(home.ok(&["run", "-q", "--", "sh", "-c", "echo ${CUDA_VISIBLE_DEVICES-none}"]), "none\n");
    home.ok(&["down"]);
    home.ok(&["up"]);
    let status = home.ok(&["status"]);
    assert!(
        status.contains("Devices:    1 example.com/probe (0 in use), 2 nvidia.com/gpu (0 in use)"),
        "{status}"
    );
    home.ok(&["up", "--resource", "nvidia.com/gpu=1"]);
    assert_eq!(home.ok(&["run", "-q", "--gpu", "1", "--", "sh", "-c", asks]), "0\n");
    let ended = home.windlass(&["run", "--gpu", "2", "--give-up-after", "1s", "--", "true"]);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    let words = "nvidia.com/gpu 2, even empty";
    assert!(ended.stderr.contains(words), "{ended:?}");
}

#[test]
fn private_engine_has_the_devices_that_it_is_told_of() {
    let home = Home::new();
    let script = r#""$windlass" run -q --gpu amd.com/gpu=1 -- sh -c 'echo $ROCR_VISIBLE_DEVICES'"#;
    let mut command =
        home.command(&["up", "--ephemeral", "--resource", "amd.com/gpu=3", "--", "sh", "-c", script]);
    command.env("windlass", env!("CARGO_BIN_EXE_windlass")).env("TMPDIR", home.file(""));
    let ended = crate::home::finish(command);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "0\n"), "{ended:?}");
}

#[test]
fn resources_that_cannot_be_are_refused_with_the_place() {
    let home = Home::new();
    for (text, part) in [
        ("gpu=2", "has no domain"),
        ("nvidia.com/gpu", "is not NAME=N"),
        ("nvidia.com/gpu=many", "0 to 1000"),
        ("nvidia.com/gpu=1001", "0 to 1000"),
        ("nvidia.com/gpu=-1", "0 to 1000"),
        ("kubernetes.io/gpu=1", "Kubernetes' own"),
        ("Nvidia.com/gpu=1", "DNS name"),
        ("nvidia.com/=1", "key"),
    ] {
        let ended = home.windlass(&["up", "--resource", text]);
        assert_eq!(ended.code, Some(2), "{text}: {ended:?}");
        assert!(ended.stderr.contains(part) && ended.stderr.contains("--resource"), "{text}: {ended:?}");
    }
    assert!(home.engine().is_none());
}
