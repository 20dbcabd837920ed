//! A disk without room: said as that, nothing acknowledged is lost, and all goes on when there is room again.
//!
//! The disk is a small one in memory, in a mount namespace of the test's own.

use crate::home::{Home, finish};

const SCRIPT: &str = r#"
mkdir -p "$WINDLASS_HOME" && mount -t tmpfs -o size=2m tmpfs "$WINDLASS_HOME" || exit 77
"$windlass" run -q --name kept -- echo kept || exit 1
"$windlass" submit -q --name runs -- sh -c 'until test -e go; do sleep 0.05; done; exit 3' > "$HOME/submitted" || exit 1
until "$windlass" list -q --running -o name | grep -q runs; do :; done
dd if=/dev/zero of="$WINDLASS_HOME/fill" bs=1k 2> /dev/null
code=0
# Each one that is taken uses up some of the rest.
for try in $(seq 100); do
    test "$code" = 0 || break
    "$windlass" submit -- true > "$HOME/submitted"
    code=$?
done
echo "full: $code"
# It ends, and nobody can write that down.
touch "$HOME/go"
until "$windlass" why -q runs | grep 'running; the disk of node' > "$HOME/told"; do sleep 0.2; done
echo 'it is told'
rm "$WINDLASS_HOME/fill"
"$windlass" logs -q kept
"$windlass" run -q -- echo again
echo "room: $?"
"$windlass" wait -q runs
echo "its code: $?"
"$windlass" down --force
"#;

#[test]
fn a_full_disk_is_named_and_nothing_acknowledged_is_lost() {
    let home = Home::new();
    let mut command = home.program("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", SCRIPT]);
    command.env("windlass", env!("CARGO_BIN_EXE_windlass"));
    let ended = finish(command);
    if ended.code != Some(0) && (ended.code == Some(77) || ended.stderr.contains("unshare")) {
        // A system that lets nobody mount: the store's own tests have the faults of a disk.
        return;
    }
    assert_eq!(ended.stdout, "kept\nfull: 125\nit is told\nkept\nagain\nroom: 0\nits code: 3\n", "{ended:?}");
    assert!(ended.stderr.contains("no space is left") || ended.stderr.contains("No space left"), "{ended:?}");
}
