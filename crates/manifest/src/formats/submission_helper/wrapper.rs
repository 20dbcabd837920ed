//! What runs around a payload whose inputs and outputs are on the claim, where only the pod sees them.
//!
//! Up to date is what make says: all outputs are there, and none is older than an input. A payload that was ended in the
//! middle may have left outputs that look so; a mark beside the first of them, made before the payload starts and
//! removed when it has succeeded, tells them apart.

/// Ends of the wrapper's own: the words of `sysexits.h`, which the table of exit codes leaves to jobs.
///
/// 66 (`EX_NOINPUT`) is an input that is not there, 73 (`EX_CANTCREAT`) an output that cannot be made, and 65
/// (`EX_DATAERR`) a payload that succeeded and left an output out.
///
/// Positional parameters would reach the image's profile and whatever the payload sources, and plain names would take
/// the place of the image's variables: there are none of either.
const SCRIPT: &str = r#"__windlass_say() { echo "windlass: $*" >&2; }
for __windlass_input in "${__windlass_inputs[@]}"; do
  [ -e "$__windlass_input" ] || { __windlass_say "input $__windlass_input is not there"; exit 66; }
done
__windlass_mark=
if [ ${#__windlass_outputs[@]} -gt 0 ]; then
  __windlass_first=${__windlass_outputs[0]}
  __windlass_folder=.
  case $__windlass_first in */*) __windlass_folder=${__windlass_first%/*} ;; esac
  __windlass_mark=${__windlass_folder:-/}/.${__windlass_first##*/}.incomplete
  __windlass_fresh=yes
  [ -e "$__windlass_mark" ] && __windlass_fresh=
  for __windlass_output in "${__windlass_outputs[@]}"; do
    [ -e "$__windlass_output" ] || __windlass_fresh=
    for __windlass_input in "${__windlass_inputs[@]}"; do
      [ "$__windlass_output" -ot "$__windlass_input" ] && __windlass_fresh=
    done
  done
  [ "$__windlass_fresh" ] && { __windlass_say "up to date: ${__windlass_outputs[*]}"; exit 0; }
  mkdir -p "${__windlass_folder:-/}" && : > "$__windlass_mark" ||
    { __windlass_say "$__windlass_mark cannot be written"; exit 73; }
fi
( eval "$__windlass_payload" )
__windlass_code=$?
[ $__windlass_code -eq 0 ] || exit $__windlass_code
for __windlass_output in "${__windlass_outputs[@]}"; do
  [ -e "$__windlass_output" ] ||
    { __windlass_say "the payload succeeded and did not make $__windlass_output"; exit 65; }
done
[ -z "$__windlass_mark" ] || rm -f "$__windlass_mark"
"#;

/// The command of a payload between its inputs and its outputs.
pub(super) fn command(payload: &str, inputs: &[&str], outputs: &[String]) -> Vec<String> {
    let list = |paths: &mut dyn Iterator<Item = &str>| paths.map(quoted).collect::<Vec<_>>().join(" ");
    let script = format!(
        "__windlass_payload={}\n__windlass_inputs=({})\n__windlass_outputs=({})\n{SCRIPT}",
        quoted(payload),
        list(&mut inputs.iter().copied()),
        list(&mut outputs.iter().map(String::as_str)),
    );
    vec!["bash".to_owned(), "-cl".to_owned(), script]
}

/// A word of a shell that means exactly this text.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
#[path = "wrapper_tests.rs"]
mod tests;
