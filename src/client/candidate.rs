//! A second link beside the one that is shown: it attaches as the same viewer with a copy of the screen, and takes
//! over once it is whole.

use super::event::Update;
use super::race::Flow;
use crate::clock;
use crate::link::{Closed, Inbox, Incoming, Link, Target};
use crate::sync::{Applied, Attachment, Micros, News, ViewerError};
use crate::wire::Control;
use std::mem::discriminant;

pub struct Candidate {
    pub attachment: Attachment,
    /// The gateway that was dialled.
    pub target: Target,
    pub link: Link,
    pub inbox: Inbox,
    pub flow: Flow,
    /// Whether it has said Attach: one that came before the session named the viewer waits for the name.
    pub asked: bool,
    /// What Attached told.
    pub attached: Option<News>,
    /// The newest of each kind of what else it told.
    pub held: Vec<News>,
    /// What was applied to its screen, not shown yet.
    pub updates: Vec<Update>,
}

impl Candidate {
    pub fn new(attachment: Attachment, target: Target, link: Link, inbox: Inbox, now: Micros) -> Candidate {
        let (attached, held, updates) = (None, Vec::new(), Vec::new());
        Candidate {
            attachment,
            target,
            link,
            inbox,
            flow: Flow::open(now),
            asked: false,
            attached,
            held,
            updates,
        }
    }

    /// Takes a message. `Ok(Some)`: the session ends this link.
    pub fn take(&mut self, message: Incoming) -> Result<Option<Closed>, ViewerError> {
        let now = clock::now_us();
        note(&mut self.flow, &message, now);
        match message {
            Incoming::Control(control) => match self.attachment.control(control, now)? {
                Some(news @ News::Attached { .. }) => {
                    self.flow.progress = now;
                    self.attached = Some(news);
                    for stream in self.attachment.early_updates() {
                        self.take(Incoming::Update(stream))?;
                    }
                }
                Some(News::Applied(all)) => self.note_applied(all, 0),
                Some(News::Closing { code, reason }) => return Ok(Some(Closed::by_peer(code, &reason))),
                Some(news) => {
                    self.held.retain(|held| discriminant(held) != discriminant(&news));
                    self.held.push(news);
                }
                None => {}
            },
            Incoming::Update(stream) => {
                let all = self.attachment.update(stream, clock::now_us)?;
                self.note_applied(all, clock::now_us() - now);
            }
            // What is heard is heard on the link that is shown.
            Incoming::Input(..) | Incoming::Motion(_) | Incoming::Sound(_) => {}
        }
        self.flow.whole = self.attachment.viewer().is_caught_up();
        self.flush();
        Ok(None)
    }

    fn note_applied(&mut self, all: Vec<Applied>, decode_us: Micros) {
        let now = clock::now_us();
        for applied in all {
            let draw_to_decode_us = now.saturating_sub(self.attachment.local_time(applied.captured_us));
            self.updates.push(Update { applied, draw_to_decode_us, decode_us });
        }
    }

    pub fn flush(&mut self) {
        while let Some(reply) = self.attachment.reply() {
            self.link.control(&reply);
        }
    }
}

/// What a message says of its link's flow.
pub fn note(flow: &mut Flow, message: &Incoming, now: Micros) {
    flow.heard = now;
    match message {
        Incoming::Control(Control::Busy { busy }) => {
            if *busy && !flow.expects {
                flow.progress = now;
            }
            flow.expects = *busy;
        }
        Incoming::Update(_) => flow.progress = now,
        _ => {}
    }
}
