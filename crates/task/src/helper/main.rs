//! `windlass-task`: in a task's container, before its command. It reads the line of its index from the file `items`
//! that lies beside it, puts the values into the command and the environment, and becomes the command.
//!
//! A static program without any library, so that it runs in every image. It ends with 126 and 127 as a shell does,
//! and with 125 if it cannot do its own part. Built by this crate's `build.rs`.
#![no_std]
#![no_main]

#[path = "../items.rs"]
mod items;
mod memory;
mod system;
#[path = "../words.rs"]
mod words;

use memory::{Arena, Full};
use system::{EACCES, ENOENT, ENOTDIR, Strings};
use words::Part;

/// Where programs are looked for if there is no PATH.
const PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The helper itself failed.
const OURS: i32 = 125;
/// The command is there and cannot be started.
const NOT_STARTED: i32 = 126;
/// The command is not there.
const NOT_FOUND: i32 = 127;

/// Why it ends: the exit code, what it is about, and what is wrong.
struct Failure<'a>(i32, &'a [u8], &'a str);

impl From<Full> for Failure<'_> {
    fn from(_: Full) -> Self {
        Failure(NOT_STARTED, b"", "the command and its variables are too long")
    }
}

/// Called by the first instruction, with the stack as the kernel left it.
///
/// # Safety
/// `stack` points to the number of the arguments; they, the variables, and a null after each follow.
unsafe extern "C" fn begin(stack: *const usize) -> ! {
    // SAFETY: as the caller says.
    let (arguments, variables) = unsafe {
        let arguments = stack.add(1).cast();
        (Strings::new(arguments), Strings::new(stack.add(2 + *stack).cast()))
    };
    let Failure(code, about, what) = match run(arguments, variables) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    system::say(b"windlass: ");
    if !about.is_empty() {
        system::say(about);
        system::say(b": ");
    }
    system::say(what.as_bytes());
    system::say(b"\n");
    system::exit(code)
}

/// Never comes back but with a failure.
fn run(arguments: Strings, variables: Strings) -> Result<core::convert::Infallible, Failure<'static>> {
    let mut words = arguments;
    let own = words.next().unwrap_or_default();
    let index = variable(variables, b"JOB_COMPLETION_INDEX").and_then(number);
    let index = index.ok_or(Failure(
        OURS,
        b"",
        "JOB_COMPLETION_INDEX is not set: this is no task of an Indexed Job",
    ))?;
    let mut arena = Arena::new().ok_or(Failure(OURS, b"", "there is no memory"))?;
    let text = system::file(arena.string(beside(own))?).ok_or(Failure(
        OURS,
        own,
        "cannot read the file items beside it",
    ))?;
    let task = Task::of(text, index).ok_or(Failure(
        OURS,
        own,
        "the file items beside it has no line for this index",
    ))?;
    let command = arena.list(words.count(), |arena, _| match words.next() {
        Some(word) => task.fill(word, arena).map(Some),
        None => Ok(None),
    })?;
    let environment = task.environment(variables, &mut arena)?;
    let program = command.first().ok_or(Failure(OURS, b"", "there is no command"))?;
    let path = variable(environment.strings(), b"PATH").unwrap_or(PATH);
    Err(execute(program, path, &mut arena, command, environment)?)
}

/// A task's own line, and the names above it.
#[derive(Clone, Copy)]
struct Task {
    names: &'static [u8],
    line: &'static [u8],
}

impl Task {
    fn of(text: &'static [u8], index: usize) -> Option<Task> {
        let names = items::line(text, 0).filter(|line| items::head(line) == items::HEAD)?;
        Some(Task { names, line: items::line(text, index.checked_add(1)?)? })
    }

    fn value(self, index: usize) -> impl Iterator<Item = u8> {
        items::values(self.line).nth(index).into_iter().flat_map(items::plain)
    }

    /// The one name, if there is one.
    fn has_item(self) -> bool {
        items::values(self.names).count() == 1
    }

    /// A word with its holes filled.
    fn fill(self, word: &'static [u8], arena: &mut Arena) -> Result<*const u8, Full> {
        let has_names = items::values(self.names).next().is_some();
        let known = |name: &[u8]| items::values(self.names).position(|known| known == name);
        let at = arena.begin();
        for part in words::parts(word, known) {
            match part {
                Part::Text(text) => arena.bytes(text.iter().copied())?,
                Part::Number => arena.bytes(items::head(self.line).iter().copied())?,
                Part::Item if self.has_item() => arena.bytes(self.value(0))?,
                Part::Item if has_names => arena.bytes(b"{}".iter().copied())?,
                Part::Item => arena.bytes(items::head(self.line).iter().copied())?,
                Part::Named(index) => arena.bytes(self.value(index))?,
            }
        }
        arena.end(at)
    }

    /// The variables that there are, and over them the task's.
    fn environment(self, variables: Strings, arena: &mut Arena) -> Result<memory::List, Full> {
        let names = items::values(self.names).count();
        let item: &[u8] = if self.has_item() { b"WINDLASS_ITEM" } else { b"" };
        let is_ours = |name: &[u8]| {
            name == b"WINDLASS_TASK" || name == item || items::values(self.names).any(|known| known == name)
        };
        let mut theirs = variables.filter(move |entry| !is_ours(name_of(entry)));
        arena.list(variables.count() + names + 2, |arena, made| {
            if let Some(entry) = theirs.next() {
                return Ok(Some(entry.as_ptr()));
            }
            let ours = made - variables.filter(move |entry| !is_ours(name_of(entry))).count();
            let at = arena.begin();
            if ours < names {
                let name = items::values(self.names).nth(ours).unwrap_or_default();
                arena.bytes(name.iter().copied().chain([b'=']).chain(self.value(ours)))?;
            } else if ours == names {
                arena.bytes(b"WINDLASS_TASK=".iter().chain(items::head(self.line)).copied())?;
            } else if ours == names + 1 && !item.is_empty() {
                arena.bytes(item.iter().copied().chain([b'=']).chain(self.value(0)))?;
            } else {
                return Ok(None);
            }
            arena.end(at).map(Some)
        })
    }
}

/// Becomes the program, looked for as a shell does. What comes back is why not.
fn execute(
    program: &'static [u8],
    path: &'static [u8],
    arena: &mut Arena,
    command: memory::List,
    environment: memory::List,
) -> Result<Failure<'static>, Full> {
    let mut is_there = false;
    let places = path.split(|byte| *byte == b':').map(|place| if place.is_empty() { b"." } else { place });
    let is_path = program.contains(&b'/') || program.is_empty();
    for place in places.take(if is_path { 1 } else { usize::MAX }) {
        let at = arena.begin();
        if !is_path {
            arena.bytes(place.iter().copied().chain([b'/']))?;
        }
        arena.bytes(program.iter().copied())?;
        match system::execute(arena.end(at)?, command.pointer(), environment.pointer()) {
            ENOENT | ENOTDIR => {}
            EACCES => is_there = true,
            system::ENOEXEC => {
                return Ok(Failure(
                    NOT_STARTED,
                    program,
                    "this machine cannot run it: not a program, or one for another architecture (a script begins with #!)",
                ));
            }
            system::E2BIG => {
                return Ok(Failure(NOT_STARTED, program, "the command and its variables are too long"));
            }
            _ => return Ok(Failure(NOT_STARTED, program, "the system refuses to start it")),
        }
    }
    Ok(match is_there {
        true => Failure(NOT_STARTED, program, "permission denied"),
        false => Failure(NOT_FOUND, program, "command not found"),
    })
}

/// The path of the file beside a program.
fn beside(program: &'static [u8]) -> impl Iterator<Item = u8> {
    let directory = program.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    program[..directory].iter().chain(items::FILE.as_bytes()).copied()
}

fn name_of(entry: &[u8]) -> &[u8] {
    entry.split(|byte| *byte == b'=').next().unwrap_or_default()
}

fn variable(mut variables: Strings, name: &[u8]) -> Option<&'static [u8]> {
    variables.find(|entry| name_of(entry) == name)?.get(name.len() + 1..)
}

fn number(digits: &[u8]) -> Option<usize> {
    core::str::from_utf8(digits).ok()?.parse().ok()
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    system::say(b"windlass: the helper of this task has failed\n");
    system::exit(OURS)
}
