//! Real browsers, driven by src/web/e2e: each run is a process that says its steps as JSON lines.

use crate::chevet::Folder;
use crate::drawing::{Picture, picture_of};
use serde_json::Value;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

pub const BROWSERS: [(&str, &str, &str); 2] =
    [("chromium", "/usr/bin/chromium", "chromium"), ("firefox", "/usr/bin/firefox-esr", "firefox-esr")];

/// A browser that shows a session while a scenario runs.
pub struct Browser {
    child: Child,
    steps: Lines<BufReader<ChildStdout>>,
    heard: Vec<String>,
    _folder: Folder,
}

fn web(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web").join(path)
}

/// Builds the driver from what `make web` has installed.
fn build_driver() {
    static BUILT: std::sync::Once = std::sync::Once::new();
    BUILT.call_once(|| {
        assert!(
            web("node_modules/esbuild").exists(),
            "the page's packages are missing: run `make web` first"
        );
        let built = Command::new("node").args(["build.mjs", "--e2e"]).current_dir(web("")).status();
        let built = built.unwrap_or_else(|error| {
            panic!("cannot run node ({error}): install the Debian package nodejs, version 20 or later")
        });
        assert!(built.success(), "the browsers' driver could not be built");
    });
}

impl Browser {
    /// Opens the page and runs a scenario; `{folder}` in its arguments is a folder for its files.
    pub fn start(name: &str, address: &str, scenario: &[&str], environment: &[(&str, &str)]) -> Browser {
        build_driver();
        let (_, program, package) = BROWSERS.into_iter().find(|(known, ..)| *known == name).unwrap();
        assert!(Path::new(program).exists(), "{program} is missing: install the Debian package {package}");
        let folder = Folder::new();
        let place = folder.0.to_str().unwrap().to_owned();
        let mut command = Command::new("node");
        command.arg(web("e2e/dist/run.mjs")).args([name, address]);
        command.args(scenario.iter().map(|argument| argument.replace("{folder}", &place)));
        command.env("CHEVET_WIDTH", "1024").env("CHEVET_HEIGHT", "700").envs(environment.iter().copied());
        // The browser's profile goes away with the folder, even if the browser is killed.
        command.env("TMPDIR", &place).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let steps = BufReader::new(child.stdout.take().unwrap()).lines();
        Browser { child, steps, heard: Vec::new(), _folder: folder }
    }

    /// Says that it is time for what the scenario waits for.
    pub fn tell(&mut self) {
        let said = self.child.stdin.as_mut().unwrap().write_all(b"now\n");
        said.expect("the driver listens");
    }

    /// Waits for a step; fails with all that was said if it never comes.
    pub fn step(&mut self, wanted: &str) -> Value {
        for line in self.steps.by_ref() {
            let line = line.unwrap();
            let step: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
            self.heard.push(line);
            if step["step"] == wanted {
                return step;
            }
        }
        panic!("the browser never came to {wanted:?}; it said:\n{}", self.heard.join("\n"));
    }

    /// Waits for the pixels that the canvas gave back.
    pub fn pixels(&mut self) -> Picture {
        let step = self.step("pixels");
        let size = |name: &str| step[name].as_u64().unwrap() as u32;
        let bytes = std::fs::read(step["path"].as_str().unwrap()).unwrap();
        let (mut pixels, mut opaque) = (Vec::new(), true);
        for [red, green, blue, alpha] in bytes.as_chunks::<4>().0 {
            pixels.push(u32::from_be_bytes([0, *red, *green, *blue]));
            opaque &= *alpha == 255;
        }
        assert!(opaque, "the canvas is not opaque");
        Picture { width: size("width"), height: size("height"), pixels }
    }

    /// Waits for the canvas' pixels, and compares them with the X server's at rest.
    pub fn expect_exact(&mut self, display: &str) {
        let canvas = self.pixels();
        let picture = picture_of(display);
        assert!(picture.is_rich(), "nothing was drawn");
        if let Some(difference) = picture.difference(canvas.width, canvas.height, &canvas.pixels) {
            panic!("the canvas said it was exact: {difference}; it said:\n{}", self.heard.join("\n"));
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked to end, the driver takes its browser along.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}
