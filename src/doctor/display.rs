//! The X server that `DISPLAY` names: whether it answers and has what the X11 source uses.

use super::Finding;
use std::sync::mpsc;
use std::time::Duration;
use x11rb::connection::{Connection, RequestConnection};

/// For an X server to answer; one that is stopped or swapped out would keep us forever.
const PATIENCE: Duration = Duration::from_secs(5);

/// An extension, whether nothing works without it, and what is lost.
const EXTENSIONS: [(&str, bool, &str); 7] = [
    ("DAMAGE", true, "what changed on the screen cannot be known"),
    ("XFIXES", true, "the cursor's picture cannot be had"),
    ("XTEST", true, "keys and pointer cannot reach the session"),
    ("MIT-SHM", false, "pixels go through the socket: over ten times slower"),
    ("RANDR", false, "the screen cannot take the size of the viewer's window"),
    ("XKEYBOARD", false, "keyboard layouts and lock keys cannot be followed"),
    ("XInputExtension", false, "pointer motion of the host's own mouse is noticed late"),
];

/// Nothing is wrong with having no display: only a machine on which sessions run has one.
pub fn examine(display: Option<&str>) -> Vec<Finding> {
    const SUBJECT: &str = "X11 display";
    let Some(display) = display.filter(|name| !name.is_empty()) else {
        return vec![Finding::ok(SUBJECT, "DISPLAY is not set", "only sharing an X11 session needs one")];
    };
    let (told, answer) = mpsc::channel();
    let name = display.to_owned();
    // Left alone if it hangs: the process ends soon after.
    let asked = std::thread::Builder::new().name("doctor-display".into()).spawn(move || {
        let _ = told.send(ask(&name));
    });
    let answer = match asked {
        Ok(_) => answer.recv_timeout(PATIENCE).unwrap_or_else(|_| Err("does not answer".to_owned())),
        Err(error) => Err(format!("could not be asked: {error}")),
    };
    match answer {
        Ok(server) => {
            let mut findings =
                vec![Finding::ok(SUBJECT, format!("{display}: {}", server.screen), "it answers")];
            findings.extend(judge_extensions(&server.extensions));
            findings
        }
        Err(why) => vec![Finding::fail(
            SUBJECT,
            // X servers end their reasons with a line break.
            format!("{display}: {}", why.split_whitespace().collect::<Vec<_>>().join(" ")),
            "the session on this display cannot be shared",
            "start the X server, or set DISPLAY and XAUTHORITY to those of the session's user",
        )],
    }
}

struct Server {
    screen: String,
    /// Which of [`EXTENSIONS`] it has.
    extensions: Vec<&'static str>,
}

fn ask(display: &str) -> Result<Server, String> {
    let (connection, number) = x11rb::connect(Some(display)).map_err(|error| error.to_string())?;
    let screen = connection.setup().roots.get(number).ok_or("has no such screen")?;
    let screen =
        format!("{}x{}, depth {}", screen.width_in_pixels, screen.height_in_pixels, screen.root_depth);
    let mut extensions = Vec::new();
    for (name, ..) in EXTENSIONS {
        if connection.extension_information(name).map_err(|error| error.to_string())?.is_some() {
            extensions.push(name);
        }
    }
    Ok(Server { screen, extensions })
}

fn judge_extensions(present: &[&str]) -> Vec<Finding> {
    const SUBJECT: &str = "X11 extensions";
    const MEND: &str = "use an X server that has it: Xorg, Xvfb and Xtigervnc of Debian do";
    let lacking: Vec<Finding> = EXTENSIONS
        .into_iter()
        .filter(|(name, ..)| !present.contains(name))
        .map(|(name, needed, loss)| {
            let judge = if needed { Finding::fail } else { Finding::warn };
            judge(SUBJECT, format!("no {name}"), loss.to_owned(), MEND.to_owned())
        })
        .collect();
    if lacking.is_empty() {
        return vec![Finding::ok(SUBJECT, present.join(", "), "all that sharing a session uses")];
    }
    lacking
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{Verdict, worst};
    use std::os::unix::net::UnixListener;

    #[test]
    fn no_display_is_no_fault_and_a_dead_one_is() {
        assert_eq!(worst(&examine(None)), Verdict::Ok);
        assert_eq!(worst(&examine(Some(""))), Verdict::Ok);
        assert_eq!(worst(&examine(Some(":60123"))), Verdict::Fail);
        assert_eq!(worst(&examine(Some("nonsense"))), Verdict::Fail);
    }

    #[test]
    fn a_display_that_never_answers_does_not_hold_us_up() {
        let number = 30_000 + std::process::id() % 20_000;
        let path = format!("/tmp/.X11-unix/X{number}");
        std::fs::create_dir_all("/tmp/.X11-unix").unwrap();
        let _ = std::fs::remove_file(&path);
        let silent = UnixListener::bind(&path).unwrap();
        let findings = examine(Some(&format!(":{number}")));
        drop(silent);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(worst(&findings), Verdict::Fail);
        assert!(findings[0].found.contains("does not answer"), "{findings:?}");
    }

    #[test]
    fn an_extension_that_lacks_is_judged_by_what_is_lost() {
        let all: Vec<&str> = EXTENSIONS.iter().map(|(name, ..)| *name).collect();
        assert_eq!(worst(&judge_extensions(&all)), Verdict::Ok);
        let without = |lost: &str| {
            let present: Vec<&str> = all.iter().copied().filter(|name| *name != lost).collect();
            worst(&judge_extensions(&present))
        };
        assert_eq!(without("RANDR"), Verdict::Warn);
        assert_eq!(without("DAMAGE"), Verdict::Fail);
    }
}
