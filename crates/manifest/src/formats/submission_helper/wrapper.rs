//! What runs around a payload whose inputs and outputs are on the claim, where only the pod sees them.
//!
//! Up to date is what make says: all outputs are there, and none is older than an input. A payload that was ended in the
//! middle may have left outputs that look so; a mark beside the first of them, made before the payload starts and
//! removed when it has succeeded, tells them apart.

/// Ends of the wrapper's own: the words of `sysexits.h`, which the table of exit codes leaves to jobs.
///
/// 66 (`EX_NOINPUT`) is an input that is not there, 73 (`EX_CANTCREAT`) an output that cannot be made, and 65
/// (`EX_DATAERR`) a payload that succeeded and left an output out.
const SCRIPT: &str = r#"payload=$1; shift
inputs=()
while [ "$1" != -- ]; do inputs+=("$1"); shift; done
shift
say() { echo "windlass: $*" >&2; }
for input in "${inputs[@]}"; do
  [ -e "$input" ] || { say "input $input is not there"; exit 66; }
done
mark=
if [ $# -gt 0 ]; then
  folder=.
  case $1 in */*) folder=${1%/*} ;; esac
  mark=${folder:-/}/.${1##*/}.incomplete
  fresh=yes
  [ -e "$mark" ] && fresh=
  for output; do
    [ -e "$output" ] || fresh=
    for input in "${inputs[@]}"; do [ "$output" -ot "$input" ] && fresh=; done
  done
  [ "$fresh" ] && { say "up to date: $*"; exit 0; }
  mkdir -p "${folder:-/}" && : > "$mark" || { say "$mark cannot be written"; exit 73; }
fi
( eval "$payload" )
code=$?
[ $code -eq 0 ] || exit $code
for output; do
  [ -e "$output" ] || { say "the payload succeeded and did not make $output"; exit 65; }
done
[ -z "$mark" ] || rm -f "$mark"
"#;

/// The command of a payload between its inputs and its outputs.
pub(super) fn command(payload: &str, inputs: &[&str], outputs: &[String]) -> Vec<String> {
    let mut command = ["bash", "-cl", SCRIPT, "windlass", payload].map(str::to_owned).to_vec();
    command.extend(inputs.iter().map(|path| (*path).to_owned()));
    command.push("--".to_owned());
    command.extend(outputs.iter().cloned());
    command
}

#[cfg(test)]
#[path = "wrapper_tests.rs"]
mod tests;
