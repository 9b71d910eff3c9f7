//! Frames of the WebSocket road: streams, datagrams and the control stream inside one ordered connection.

use super::limits::MAX_WEBSOCKET;
use super::value::*;

/// One binary WebSocket message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    Control(&'a [u8]),
    Stream { stream: u64, end: bool, data: &'a [u8] },
    Reset { stream: u64, code: u64 },
    Datagram(&'a [u8]),
}

/// Appends a frame.
pub fn write_frame(out: &mut Vec<u8>, frame: &Frame) {
    match frame {
        Frame::Control(data) => {
            out.push(0);
            out.extend_from_slice(data);
        }
        Frame::Stream { stream, end, data } => {
            out.push(1);
            put_varint(out, *stream);
            out.push((*end).into());
            out.extend_from_slice(data);
        }
        Frame::Reset { stream, code } => {
            out.push(2);
            put_varint(out, *stream);
            put_varint(out, *code);
        }
        Frame::Datagram(data) => {
            out.push(3);
            out.extend_from_slice(data);
        }
    }
}

/// Reads a WebSocket message; `None` if it is of a kind that this version does not know.
pub fn read_frame(message: &[u8]) -> Result<Option<Frame<'_>>, WireError> {
    if message.len() > MAX_WEBSOCKET {
        return Err(WireError::TooMuch {
            what: "a WebSocket message",
            value: message.len() as u64,
            limit: MAX_WEBSOCKET as u64,
        });
    }
    let r = &mut Reader::new(message);
    Ok(Some(match r.u8("a frame's kind")? {
        0 => Frame::Control(r.rest()),
        1 => Frame::Stream {
            stream: r.varint("a frame's stream")?,
            end: r.u8("a frame's flags")? & 1 == 1,
            data: r.rest(),
        },
        2 => Frame::Reset { stream: r.varint("a reset's stream")?, code: r.varint("a reset's code")? },
        3 => Frame::Datagram(r.rest()),
        _ => return Ok(None),
    }))
}
