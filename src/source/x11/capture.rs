//! Fetches pixels from the root window into the canvas, through shared memory where there is any.

use super::X11Error;
use super::merge::merge;
use super::segment::Segment;
use super::stream::XConnection;
use crate::screen::Rect;
use crate::source::Canvas;
use x11rb::connection::{Connection, RequestConnection};
use x11rb::errors::ReplyError;
use x11rb::protocol::shm::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{ConnectionExt as _, ImageFormat, ImageOrder, VisualClass, Window};

const ALL_PLANES: u32 = !0;

/// How fetching ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Captured {
    Done,
    /// The screen got another size meanwhile: what was fetched is of no use.
    SizeChanged,
}

/// Pixels that were fetched and are to be painted, in this order.
#[derive(Default)]
pub(super) struct Shot {
    parts: Vec<Part>,
    /// How many pixels of the segment are taken.
    used: usize,
}

/// A box that was fetched, and what is wanted of it.
struct Part {
    covering: Rect,
    fetched: Fetched,
    rects: Vec<Rect>,
}

/// The way from one root window to the canvas.
pub(super) struct Capture {
    root: Window,
    width: u32,
    height: u32,
    route: Route,
}

enum Route {
    Shared {
        id: shm::Seg,
        segment: Segment,
    },
    /// Through the connection: some 25 times slower.
    Plain,
}

/// A box's pixels, fetched and not yet painted.
enum Fetched {
    /// From this pixel of the segment on.
    Segment(usize),
    Bytes(Vec<u8>),
}

/// A box on its way: what was asked, and its answer's cookie.
enum Asked<'c> {
    Segment(usize, x11rb::cookie::Cookie<'c, XConnection, shm::GetImageReply>),
    Plain(x11rb::cookie::Cookie<'c, XConnection, x11rb::protocol::xproto::GetImageReply>),
}

impl Capture {
    /// Prepares to capture a root window of this size.
    pub(super) fn new(
        connection: &XConnection,
        root: Window,
        (width, height): (u32, u32),
    ) -> Result<Capture, X11Error> {
        crate::screen::Framebuffer::new(width, height)?;
        let route = match attach(connection, width as usize * height as usize)? {
            Ok((id, segment)) => Route::Shared { id, segment },
            Err(reason) => {
                tracing::warn!(%reason, "no shared memory with the X server: capturing will be slow");
                Route::Plain
            }
        };
        Ok(Capture { root, width, height, route })
    }

    pub(super) fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Gives the shared memory back to the server.
    pub(super) fn detach(self, connection: &XConnection) -> Result<(), X11Error> {
        if let Route::Shared { id, .. } = self.route {
            connection.shm_detach(id)?;
        }
        Ok(())
    }

    /// Fetches the rectangles of the screen as they are now, after what the shot holds already. What does not fit into the
    /// memory beside that makes the shot a new one of the whole screen.
    pub(super) fn fetch(
        &self,
        connection: &XConnection,
        rects: &[Rect],
        shot: &mut Shot,
    ) -> Result<Captured, X11Error> {
        let screen = Rect::new(0, 0, self.width, self.height);
        let mut rects: Vec<Rect> =
            rects.iter().map(|rect| rect.intersect(&screen)).filter(|rect| !rect.is_empty()).collect();
        let mut boxes = merge(&rects);
        if boxes.iter().map(Rect::area).sum::<u64>() > screen.area() - shot.used as u64 {
            if !shot.parts.is_empty() {
                rects = vec![screen];
            }
            boxes = vec![screen];
            *shot = Shot::default();
        }
        let mut asked = Vec::with_capacity(boxes.len());
        for wanted in &boxes {
            asked.push(self.ask(connection, wanted, shot.used)?);
            shot.used += wanted.area() as usize;
        }
        let mut captured = Captured::Done;
        for (asked, covering) in asked.into_iter().zip(boxes) {
            let answer = match asked {
                Asked::Segment(start, cookie) => cookie.reply().map(|_| Fetched::Segment(start)),
                Asked::Plain(cookie) => cookie.reply().map(|image| Fetched::Bytes(image.data)),
            };
            match answer {
                Ok(Fetched::Bytes(bytes)) if bytes.len() as u64 != covering.area() * 4 => {
                    captured = Captured::SizeChanged;
                }
                Ok(fetched) => {
                    // Every rectangle lies in a box; it is painted with the first of those.
                    let (within, others) = rects.into_iter().partition(|rect| covering.contains(rect));
                    rects = others;
                    shot.parts.push(Part { covering, fetched, rects: within });
                }
                Err(ReplyError::X11Error(error)) => {
                    tracing::debug!(?error, "the screen no longer holds what was damaged");
                    captured = Captured::SizeChanged;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(captured)
    }

    /// Brings what was fetched into the canvas, which takes the screen's size if it has another, and marks what differs as
    /// damaged. The canvas is locked only while pixels are copied.
    pub(super) fn paint(&self, shot: &Shot, canvas: &Canvas) -> Result<(), X11Error> {
        let widest = shot.parts.iter().flat_map(|part| &part.rects).map(|rect| rect.width).max();
        let mut line = vec![0; widest.unwrap_or(0) as usize];
        let mut changed = false;
        let mut painting = canvas.lock();
        if (painting.framebuffer.width(), painting.framebuffer.height()) != self.size() {
            painting.resize(self.width, self.height)?;
            changed = true;
        }
        for Part { covering, fetched, rects } in &shot.parts {
            for rect in rects {
                let line = &mut line[..rect.width as usize];
                for y in rect.y..rect.bottom() {
                    let from =
                        (y - covering.y) as usize * covering.width as usize + (rect.x - covering.x) as usize;
                    self.copy_row(fetched, from, line);
                    changed |= painting.paint_row(rect.x, y, line);
                }
            }
        }
        drop(painting);
        if changed {
            canvas.notify();
        }
        Ok(())
    }

    fn ask<'c>(
        &self,
        connection: &'c XConnection,
        wanted: &Rect,
        start: usize,
    ) -> Result<Asked<'c>, X11Error> {
        // Sides fit: a canvas has at most MAX_SIDE pixels each way.
        let (x, y) = (wanted.x as i16, wanted.y as i16);
        let (width, height) = (wanted.width as u16, wanted.height as u16);
        Ok(match &self.route {
            Route::Shared { id, .. } => Asked::Segment(
                start,
                connection.shm_get_image(
                    self.root,
                    x,
                    y,
                    width,
                    height,
                    ALL_PLANES,
                    ImageFormat::Z_PIXMAP.into(),
                    *id,
                    start as u32 * 4,
                )?,
            ),
            Route::Plain => Asked::Plain(connection.get_image(
                ImageFormat::Z_PIXMAP,
                self.root,
                x,
                y,
                width,
                height,
                ALL_PLANES,
            )?),
        })
    }

    /// Copies a row of a fetched box, from its pixel `from` on, as `0x00RRGGBB`.
    fn copy_row(&self, fetched: &Fetched, from: usize, row: &mut [u32]) {
        match (fetched, &self.route) {
            (Fetched::Segment(start), Route::Shared { segment, .. }) => {
                segment.read(start + from, row);
                row.iter_mut().for_each(|pixel| *pixel &= 0x00ff_ffff);
            }
            (Fetched::Bytes(bytes), _) => {
                let words = bytes[from * 4..].as_chunks::<4>().0;
                for (pixel, word) in row.iter_mut().zip(words) {
                    *pixel = u32::from_le_bytes(*word) & 0x00ff_ffff;
                }
            }
            // Only a shared route fetches into a segment.
            (Fetched::Segment(_), Route::Plain) => {}
        }
    }
}

/// Shares memory for this many pixels with the server. The inner error says why there can be none.
#[allow(clippy::type_complexity)]
fn attach(connection: &XConnection, pixels: usize) -> Result<Result<(shm::Seg, Segment), String>, X11Error> {
    if connection.extension_information(shm::X11_EXTENSION_NAME)?.is_none() {
        return Ok(Err("the X server has no MIT-SHM extension".into()));
    }
    let version = connection.shm_query_version()?.reply()?;
    if (version.major_version, version.minor_version) < (1, 2) {
        return Ok(Err("the X server's MIT-SHM is older than 1.2 and takes no descriptors".into()));
    }
    let (segment, fd) = match Segment::new(pixels) {
        Ok(made) => made,
        Err(error) => return Ok(Err(format!("no memory for {pixels} pixels to share: {error}"))),
    };
    let id = connection.generate_id()?;
    let attached = match connection.shm_attach_fd(id, fd, false) {
        Ok(cookie) => cookie.check(),
        // A connection over TCP passes no descriptors, and stays usable.
        Err(x11rb::errors::ConnectionError::FdPassingFailed) => {
            return Ok(Err("this connection passes no descriptors".into()));
        }
        Err(error) => return Err(error.into()),
    };
    match attached {
        Ok(()) => Ok(Ok((id, segment))),
        Err(ReplyError::X11Error(error)) => Ok(Err(format!("the X server refused it: {error:?}"))),
        Err(error) => Err(error.into()),
    }
}

/// Checks that the root's pixels are little-endian words of `0xXXRRGGBB`.
pub(super) fn check_visual(connection: &XConnection, screen: usize) -> Result<(), X11Error> {
    let setup = connection.setup();
    let root = &setup.roots[screen];
    let bits = setup
        .pixmap_formats
        .iter()
        .find(|format| format.depth == root.root_depth)
        .map_or(0, |format| format.bits_per_pixel);
    let visual = root
        .allowed_depths
        .iter()
        .flat_map(|depth| &depth.visuals)
        .find(|visual| visual.visual_id == root.root_visual);
    let true_colour = visual.is_some_and(|visual| {
        visual.class == VisualClass::TRUE_COLOR
            && (visual.red_mask, visual.green_mask, visual.blue_mask) == (0xff_0000, 0xff00, 0xff)
    });
    let fits = matches!(root.root_depth, 24 | 32)
        && bits == 32
        && true_colour
        && setup.image_byte_order == ImageOrder::LSB_FIRST;
    if fits { Ok(()) } else { Err(X11Error::Visual { depth: root.root_depth, bits }) }
}
