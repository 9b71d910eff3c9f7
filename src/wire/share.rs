//! What a viewer is told of what it may do, and what user and session say of those who watch.

use super::WireError;
use super::limits::{MAX_NAME, MAX_VIEWERS};
use super::value::{Reader, put_text, put_varint};

/// What is written over the picture, and by whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Marking {
    #[default]
    None,
    /// The viewer writes it.
    Viewer,
    /// It is in the pixels that the session sends.
    BurntIn,
}

impl Marking {
    fn number(self) -> u8 {
        match self {
            Marking::None => 0,
            Marking::Viewer => 1,
            Marking::BurntIn => 2,
        }
    }
}

/// What a viewer may do. The session holds it to them; they are told so that the viewer shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    pub clipboard_in: bool,
    pub clipboard_out: bool,
    pub resize: bool,
    pub share: bool,
    /// 0: never.
    pub idle_lock_ms: u64,
    pub marking: Marking,
    /// Who sees it, and where; the viewer adds the time.
    pub mark: String,
}

impl Terms {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let flags = [self.clipboard_in, self.clipboard_out, self.resize, self.share];
        out.push(flags_of(&flags));
        put_varint(out, self.idle_lock_ms);
        out.push(self.marking.number());
        put_text(out, &self.mark, MAX_NAME);
    }

    pub(super) fn read(r: &mut Reader) -> Result<Terms, WireError> {
        let flags = r.u8("Terms' flags")?;
        let has = |bit: u8| flags & 1 << bit != 0;
        Ok(Terms {
            clipboard_in: has(0),
            clipboard_out: has(1),
            resize: has(2),
            share: has(3),
            idle_lock_ms: r.varint("Terms' idle time")?,
            marking: match r.u8("Terms' marking")? {
                0 => Marking::None,
                1 => Marking::Viewer,
                2 => Marking::BurntIn,
                // A mark that this version cannot draw is not to be left out silently.
                other => return Err(WireError::Meaningless { what: "Terms' marking", value: other.into() }),
            },
            mark: r.text(MAX_NAME, "Terms' mark")?,
        })
    }
}

/// Somebody who watches a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watcher {
    pub id: u64,
    pub title: String,
    pub seat: String,
    /// The user gave them control.
    pub controls: bool,
    /// An administrator, rather than somebody who was invited.
    pub administrator: bool,
    /// The viewer that this is told to.
    pub you: bool,
}

pub(super) fn write_watchers(watchers: &[Watcher], out: &mut Vec<u8>) {
    put_varint(out, watchers.len() as u64);
    for watcher in watchers {
        put_varint(out, watcher.id);
        put_text(out, &watcher.title, MAX_NAME);
        put_text(out, &watcher.seat, MAX_NAME);
        out.push(flags_of(&[watcher.controls, watcher.administrator, watcher.you]));
    }
}

pub(super) fn read_watchers(r: &mut Reader) -> Result<Vec<Watcher>, WireError> {
    let count = r.count(MAX_VIEWERS, "the number of watchers")?;
    let mut watchers = Vec::new();
    for _ in 0..count {
        let (id, title) = (r.varint("a watcher's number")?, r.text(MAX_NAME, "a watcher's title")?);
        let seat = r.text(MAX_NAME, "a watcher's seat")?;
        let flags = r.u8("a watcher's flags")?;
        let (controls, administrator, you) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
        watchers.push(Watcher { id, title, seat, controls, administrator, you });
    }
    Ok(watchers)
}

/// What a user decides of a watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatcherOrder {
    /// The watcher's input reaches the session from now on, and nobody else's.
    GiveControl,
    /// The user's does again.
    TakeControl,
    Dismiss,
}

impl WatcherOrder {
    pub(super) fn number(self) -> u8 {
        match self {
            WatcherOrder::GiveControl => 1,
            WatcherOrder::TakeControl => 2,
            WatcherOrder::Dismiss => 3,
        }
    }

    pub(super) fn read(r: &mut Reader) -> Result<WatcherOrder, WireError> {
        Ok(match r.u8("WatcherOrder's order")? {
            1 => WatcherOrder::GiveControl,
            2 => WatcherOrder::TakeControl,
            3 => WatcherOrder::Dismiss,
            other => {
                return Err(WireError::Meaningless { what: "WatcherOrder's order", value: other.into() });
            }
        })
    }
}

fn flags_of(flags: &[bool]) -> u8 {
    flags.iter().enumerate().map(|(bit, &flag)| u8::from(flag) << bit).sum()
}
