//! `windlass up --install` and `--uninstall`: the engine as a service that starts with the user's session.

use std::path::Path;

use windlass_engine::Home;

use super::up::ready_words;
use crate::cluster::Call;
use crate::daemon::service::{self, Unit, systemctl};
use crate::daemon::{self, Boot};
use crate::env::Env;
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};

/// Where systemd notes whose services run without a session.
const LINGER: &str = "/var/lib/systemd/linger";

/// Writes the unit and starts it.
pub(super) async fn install(boot: &Boot, home: &Home, call: Call<'_>) -> Outcome {
    let fault = |error: &dyn std::fmt::Display| Failure::new("up --install", error);
    let program = std::env::current_exe().map_err(|error| fault(&error))?;
    let unit = present(home, &program, call.env).await?;
    if let Some(running) = daemon::find(home).await?
        && running.notes.get(service::VARIABLE) != Some(&unit.name)
    {
        let cause = format!("an engine runs already (pid {}), and is no service", running.pid);
        return Err(Failure::new("up --install", cause)
            .way_out("`windlass down --leave` first: what runs goes on under the service"));
    }
    let text = service::text(&unit, boot, &program, call.env)?;
    write(&unit.file, &text)?;
    systemctl(&["daemon-reload"]).await.map_err(|why| fault(&why))?;
    let started = systemctl(&["enable", "--now", &unit.name]).await;
    let way_out =
        format!("`journalctl --user -u {}` tells more; `windlass up --uninstall` undoes it", unit.name);
    started.map_err(|why| fault(&why).way_out(&way_out))?;
    let running = daemon::find(home).await?;
    let running =
        running.ok_or_else(|| fault(&"the service was started, and no engine runs").way_out(&way_out))?;
    call.notes().say(&format!("installed {}; {}", unit.file.display(), ready_words(&running)));
    if let Some(hint) = linger() {
        call.notes().say(&hint);
    }
    Ok(Exit::OK)
}

/// Stops the service and removes its unit. Pods go on: the next engine takes them over.
pub(super) async fn uninstall(home: &Home, call: Call<'_>) -> Outcome {
    let fault = |error: &dyn std::fmt::Display| Failure::new("up --uninstall", error);
    let Some(unit) = service::unit(home, call.env).filter(|unit| unit.file.exists()) else {
        call.notes().say("the engine is not installed");
        return Ok(Exit::OK);
    };
    systemctl(&["disable", "--now", &unit.name]).await.map_err(|why| fault(&why))?;
    let removed = std::fs::remove_file(&unit.file);
    removed.map_err(|error| Failure::new(unit.file.display().to_string(), error))?;
    systemctl(&["daemon-reload"]).await.map_err(|why| fault(&why))?;
    call.notes().say("the service is gone; its pods go on, the next engine takes them over");
    Ok(Exit::OK)
}

/// The unit, if there is a systemd to run it.
async fn present(home: &Home, program: &Path, env: &Env) -> Outcome<Unit> {
    let way_out = format!(
        "without one, this line in your crontab (`crontab -e`) starts the engine with the machine:\n@reboot {}{} up",
        env.get("WINDLASS_HOME").map(|_| format!("WINDLASS_HOME={} ", word(home.root()))).unwrap_or_default(),
        word(program)
    );
    let fault = |why: &str| {
        Failure::new("up --install", format!("there is no systemd session of yours here: {why}"))
            .way_out(&way_out)
    };
    let unit = service::unit(home, env).ok_or_else(|| fault("neither HOME nor XDG_CONFIG_HOME is set"))?;
    systemctl(&["show-environment"]).await.map_err(|why| fault(&why))?;
    Ok(unit)
}

/// A path as a word of a shell, and of a crontab, where `%` ends the command.
fn word(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''").replace('%', r"\%"))
}

fn write(file: &Path, text: &str) -> Outcome<()> {
    let fault = |error: std::io::Error| Failure::new(file.display().to_string(), error);
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory).map_err(fault)?;
    }
    std::fs::write(file, text).map_err(fault)
}

/// Without lingering, systemd ends a user's services, and all their jobs, with the last session.
fn linger() -> Option<String> {
    let user = Env::system_login()?;
    let lingers = Path::new(LINGER).join(&user).exists();
    (!lingers).then(|| {
        format!("it runs while you are logged in; `loginctl enable-linger {user}` starts it with the machine, and keeps it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_a_crontab() {
        assert_eq!(word(Path::new("/a b/c'd/100%")), r"'/a b/c'\''d/100\%'");
    }
}
