//! A viewer of a recording: what was shown at the time of the last record that it took. Pure.

use super::format::{Message, Record};
use crate::screen::{Framebuffer, HashKey, TileId};
use crate::sync::{Viewer, ViewerError};
use crate::wire::{Control, Cursor, Policy};
use bytes::Bytes;

/// What stands in a recording cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    #[error(transparent)]
    Viewer(#[from] ViewerError),
    #[error("an update stands before the session said what it shows")]
    NotAttached,
}

/// What a recorded viewer was shown.
#[derive(Default)]
pub struct Player {
    viewer: Option<Viewer>,
    cursor: Cursor,
    cursor_at: Option<(u32, u32)>,
    waiting_for: Option<String>,
    title: String,
    policy: Policy,
    said: Option<String>,
}

impl Player {
    /// Takes the next record, and says which tiles it changed; all of them with a whole screen.
    pub fn take(&mut self, record: Record) -> Result<Vec<TileId>, PlayError> {
        match record {
            Record::Key(messages) => {
                *self = Player::default();
                messages.into_iter().try_for_each(|message| self.message(message).map(|_| ()))?;
                let tiles = self.screen().map_or(0, |screen| screen.grid().len());
                Ok((0..tiles as TileId).collect())
            }
            Record::Message(message) => self.message(message),
            _ => Ok(Vec::new()),
        }
    }

    fn message(&mut self, message: Message) -> Result<Vec<TileId>, PlayError> {
        let applied = match message {
            Message::Control(control) => return self.control(control),
            Message::Update(stream) => {
                let viewer = self.viewer.as_mut().ok_or(PlayError::NotAttached)?;
                viewer.take(Bytes::from(stream))?
            }
        };
        Ok(applied.into_iter().flat_map(|applied| applied.tiles).collect())
    }

    fn control(&mut self, control: Control) -> Result<Vec<TileId>, PlayError> {
        match control {
            Control::Attached(attached) => {
                let mut viewer = Viewer::new(HashKey(attached.key.0), 0);
                viewer.begin_policy(attached.policy);
                self.viewer = Some(viewer);
                (self.title, self.policy) = (attached.title, attached.policy);
            }
            Control::Dropped { update } => {
                let viewer = self.viewer.as_mut().ok_or(PlayError::NotAttached)?;
                let applied = viewer.dropped(update)?;
                return Ok(applied.into_iter().flat_map(|applied| applied.tiles).collect());
            }
            Control::Policy { policy } => {
                self.policy = policy;
                self.viewer.iter_mut().for_each(|viewer| viewer.set_policy(policy));
            }
            Control::Cursor(cursor) => self.cursor = cursor,
            Control::CursorAt { x, y } => self.cursor_at = Some((x, y)),
            Control::State { live, text } => self.waiting_for = (!live).then_some(text),
            Control::Message { text } => self.said = Some(text),
            _ => {}
        }
        Ok(Vec::new())
    }

    pub fn screen(&self) -> Option<&Framebuffer> {
        self.viewer.as_ref()?.framebuffer()
    }

    pub fn cursor(&self) -> (&Cursor, Option<(u32, u32)>) {
        (&self.cursor, self.cursor_at)
    }

    /// What the session waited for, if it was not live.
    pub fn waiting_for(&self) -> Option<&str> {
        self.waiting_for.as_deref()
    }

    pub fn title(&self) -> &str {
        &self.title
    }

    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// The last thing that an administrator said since the last whole screen.
    pub fn said(&self) -> Option<&str> {
        self.said.as_deref()
    }
}
