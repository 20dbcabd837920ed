//! Credentials of each role: given, used, ended.

use std::os::unix::fs::PermissionsExt;

use crate::home::Home;

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_reader_looks_and_a_submitter_runs_nothing_on_the_host() {
    let home = Home::new();
    home.ok(&["run", "--name", "spoken", "--", "echo", "hello"]);
    let [read, submit] = ["read", "submit"].map(|role| {
        let file = home.file(role).display().to_string();
        let given = home.windlass(&["kubeconfig", "--role", role, "--output", &file, "--expires-in", "1h"]);
        assert_eq!((given.code, &*given.stdout), (Some(0), ""), "{given:?}");
        assert!(given.stderr.contains("good until"), "{}", given.stderr);
        assert_eq!(mode(file.as_ref()), 0o600);
        file
    });
    assert!(home.ok(&["list", "--kubeconfig", &read]).contains("spoken"));
    assert_eq!(home.ok(&["logs", "spoken", "--kubeconfig", &read]), "hello\n");
    for (file, place) in [(&read, "\"submit\" may"), (&submit, "runtimeClassName")] {
        let refused = home.windlass(&["submit", "--kubeconfig", file, "--", "true"]);
        assert_eq!(refused.code, Some(125), "{refused:?}");
        assert!(refused.stderr.contains("forbidden") && refused.stderr.contains(place), "{}", refused.stderr);
    }
    let name = home.ok(&["submit", "--kubeconfig", &submit, "--image", "busybox", "--", "true"]);
    home.ok(&["delete", name.trim(), "--kubeconfig", &submit]);
    assert_eq!(home.windlass(&["delete", "spoken", "--kubeconfig", &read]).code, Some(125));
    assert!(home.ok(&["list"]).contains("spoken"));
}

#[test]
fn renewing_ends_every_earlier_credential_of_the_role_and_no_other() {
    let home = Home::new();
    let given = |arguments: &[&str]| {
        let path = home.ok(&[&["kubeconfig", "--path", "--role"], arguments].concat());
        std::fs::read_to_string(path.trim()).unwrap()
    };
    let (first, second, other) = (given(&["read"]), given(&["read"]), given(&["submit"]));
    let third = given(&["read", "--renew"]);
    assert_eq!(mode(&home.state().join("kubeconfig-read")), 0o600);
    for (text, code) in [(first, 125), (second, 125), (other, 0), (third, 0)] {
        let file = home.write("config", &text).display().to_string();
        let ended = home.windlass(&["list", "--kubeconfig", &file]);
        assert_eq!(ended.code, Some(code), "{ended:?}");
    }
}

#[test]
fn the_owners_credential_is_not_renewed_while_the_engine_runs() {
    let home = Home::new();
    let refused = home.windlass(&["kubeconfig", "--renew"]);
    assert_eq!(refused.code, Some(125), "{refused:?}");
    assert!(refused.stderr.contains("windlass down --leave"), "{}", refused.stderr);
    for (span, told) in [("1m", "is less than 10m"), ("soon", "\"soon\" is no duration")] {
        let ended = home.windlass(&["kubeconfig", "--role", "read", "--expires-in", span]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        assert!(ended.stderr.starts_with("windlass: kubeconfig: --expires-in: "), "{ended:?}");
        assert!(ended.stderr.contains(told), "{ended:?}");
    }
    assert_eq!(home.windlass(&["kubeconfig", "--role", "root"]).code, Some(2));
}
