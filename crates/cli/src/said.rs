//! What is said once and not at every command: remembered in the engine's home, one short file a topic.

use std::os::unix::fs::OpenOptionsExt;

use windlass_engine::Home;

use crate::out::Notes;

/// Says a text unless the same was the last said of its topic here. A home that cannot be written is told every time.
pub(crate) fn once(home: &Home, topic: &str, text: &str, notes: Notes) {
    let place = home.root().join(format!("said-{topic}"));
    if notes.quiet || std::fs::read_to_string(&place).is_ok_and(|said| said == text) {
        return;
    }
    notes.say(text);
    let file = std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(place);
    // That it cannot be remembered is no fault of the command's.
    _ = file.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
}
