//! How a server's screen is made up of monitors.

use super::inbox::{Reader, Stop};

/// A monitor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Monitor {
    pub id: u32,
    pub x: u16,
    pub y: u16,
    pub width: u16,
    pub height: u16,
    pub flags: u32,
}

pub(super) fn monitors(reader: &mut Reader) -> Result<Vec<Monitor>, Stop> {
    let count = reader.u8()?;
    reader.take(3)?;
    (0..count)
        .map(|_| {
            Ok(Monitor {
                id: reader.u32()?,
                x: reader.u16()?,
                y: reader.u16()?,
                width: reader.u16()?,
                height: reader.u16()?,
                flags: reader.u32()?,
            })
        })
        .collect()
}

/// Why a server did not take a size that was asked for.
pub fn refusal(status: u16) -> &'static str {
    match status {
        1 => "it may not be changed",
        2 => "the server lacks the resources",
        3 => "the server cannot have such a size",
        4 => "the server has passed the wish on",
        _ => "the server does not say why",
    }
}
