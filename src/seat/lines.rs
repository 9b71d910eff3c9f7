//! Readers that type a badge's number like a keyboard: lines of standard input, or of an input device given by its path.

use super::evdev::{EVENT_BYTES, Keys};
use super::{Seen, grab};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use tokio::sync::mpsc;

/// No badge's number is longer; what follows on a line is not read as one.
const LONGEST: usize = 256;

/// Tells each line, until there are no more or nobody listens. Empty ones are nothing. Blocks: for a thread of its own.
pub fn read_lines(from: impl Read, seen: &mpsc::Sender<Seen>) -> std::io::Result<()> {
    let mut lines = BufReader::with_capacity(LONGEST, from);
    let (mut line, mut over) = (Vec::new(), false);
    loop {
        let bytes = lines.fill_buf()?;
        if bytes.is_empty() {
            return Ok(());
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let taken = &bytes[..end.unwrap_or(bytes.len())];
        match line.len() + taken.len() <= LONGEST {
            true => line.extend_from_slice(taken),
            false => over = true,
        }
        let used = taken.len() + usize::from(end.is_some());
        lines.consume(used);
        if end.is_none() {
            continue;
        }
        let text = String::from_utf8_lossy(&line).trim().to_owned();
        if !over && !text.is_empty() && seen.blocking_send(Seen::Badge(text)).is_err() {
            return Ok(());
        }
        (line, over) = (Vec::new(), false);
    }
}

/// Opens an input device for this program alone, so that a badge's number is typed nowhere else, and tells what it types.
pub fn read_lines_from_device(path: &Path, seen: mpsc::Sender<Seen>) -> std::io::Result<()> {
    let mut device = std::fs::File::open(path)?;
    grab::for_this_program_alone(&device)?;
    let path = path.to_owned();
    std::thread::Builder::new().name("badge reader".into()).spawn(move || {
        let (mut keys, mut event) = (Keys::default(), [0; EVENT_BYTES]);
        loop {
            if let Err(error) = device.read_exact(&mut event) {
                let told = format!("the badge reader {} is gone: {error}", path.display());
                let _ = seen.blocking_send(Seen::Trouble(Some(told)));
                return;
            }
            if let Some(line) = keys.take(&event)
                && seen.blocking_send(Seen::Badge(line)).is_err()
            {
                return;
            }
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<String> {
        let (send, mut seen) = mpsc::channel(64);
        read_lines(text, &send).unwrap();
        drop(send);
        let mut badges = Vec::new();
        while let Some(Seen::Badge(badge)) = seen.blocking_recv() {
            badges.push(badge);
        }
        badges
    }

    #[test]
    fn each_line_is_a_badge_and_one_that_never_ends_is_none() {
        assert_eq!(all(b"04A2\r\n\n  04B7 \n04"), ["04A2", "04B7"]);
        let endless = [&[b'1'; 10_000][..], b"\n04C1\n"].concat();
        assert_eq!(all(&endless), ["04C1"]);
        assert_eq!(all(b"\xff\xfe\n"), ["\u{fffd}\u{fffd}"]);
    }

    #[test]
    fn what_is_no_input_device_is_refused() {
        let (send, _seen) = mpsc::channel(1);
        assert!(read_lines_from_device(Path::new("/dev/null"), send.clone()).is_err());
        assert!(read_lines_from_device(Path::new("/nowhere"), send).is_err());
    }
}
