//! Gives the screen another size through RandR: a mode of that size on the first output, and the screen
//! around it.

use super::X11Error;
use super::stream::XConnection;
use crate::screen::{MAX_PIXELS, MAX_SIDE};
use x11rb::CURRENT_TIME;
use x11rb::connection::RequestConnection;
use x11rb::errors::{ReplyError, ReplyOrIdError};
use x11rb::protocol::randr::{
    self, Connection as Plug, ConnectionExt as _, Crtc, GetCrtcInfoReply, GetScreenResourcesCurrentReply,
    Mode, ModeFlag, ModeInfo, Output, SetConfig,
};
use x11rb::protocol::xproto::{ConnectionExt as _, Window};

/// What a screen is taken to have: 96 pixels an inch, so that programs do not scale by accident.
const PIXELS_PER_INCH: f64 = 96.0;
const MILLIMETRES_PER_INCH: f64 = 25.4;

#[derive(Default)]
pub(super) struct Resizer {
    warned: bool,
}

impl Resizer {
    /// Gives the screen the size nearest to this that the server and a canvas can have. A server that
    /// cannot leaves its screen as it is, which is warned of once.
    pub(super) fn resize(
        &mut self,
        connection: &XConnection,
        root: Window,
        (width, height): (u32, u32),
    ) -> Result<(), X11Error> {
        match try_resize(connection, root, width, height) {
            Ok((got_width, got_height)) => {
                if (got_width, got_height) != (width, height) {
                    self.warn(&format!(
                        "the X server cannot have a screen of {width}x{height}; \
                         it has {got_width}x{got_height} instead"
                    ));
                }
                Ok(())
            }
            Err(ReplyOrIdError::X11Error(error)) => {
                self.warn(&format!("the X server refused a screen of {width}x{height}: {error:?}"));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn warn(&mut self, message: &str) {
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!("{message}");
        }
    }
}

/// Returns the size that the screen has in the end.
fn try_resize(
    connection: &XConnection,
    root: Window,
    width: u32,
    height: u32,
) -> Result<(u32, u32), ReplyOrIdError> {
    let now = connection.get_geometry(root)?.reply()?;
    let present = (u32::from(now.width), u32::from(now.height));
    if connection.extension_information(randr::X11_EXTENSION_NAME)?.is_none() {
        return Ok(present);
    }
    let range = connection.randr_get_screen_size_range(root)?.reply()?;
    let wanted = nearest(
        (width, height),
        (range.min_width.into(), range.min_height.into()),
        (range.max_width.into(), range.max_height.into()),
    );
    if wanted == present {
        return Ok(present);
    }
    let (width, height) = (wanted.0 as u16, wanted.1 as u16);
    let resources = connection.randr_get_screen_resources_current(root)?.reply()?;
    let Some(head) = find_head(connection, &resources)? else { return Ok(present) };
    let mode = match resources
        .modes
        .iter()
        .find(|mode| (mode.width, mode.height) == (width, height) && head.modes.contains(&mode.id))
    {
        Some(mode) => mode.id,
        None => make_mode(connection, root, head.output, width, height)?,
    };
    // Grabbed, so that no other program sees the screen between two sizes.
    connection.grab_server()?;
    let switched = switch(connection, root, &resources, &head, mode, (width, height));
    connection.ungrab_server()?;
    connection.flush_now()?;
    let outcome = switched?;
    discard_old_modes(connection, &resources, &head, mode)?;
    Ok(if outcome { wanted } else { present })
}

/// Flushing by its own name, since two extension traits would claim `flush`.
trait FlushNow {
    fn flush_now(&self) -> Result<(), x11rb::errors::ConnectionError>;
}

impl FlushNow for XConnection {
    fn flush_now(&self) -> Result<(), x11rb::errors::ConnectionError> {
        x11rb::connection::Connection::flush(self)
    }
}

/// The nearest size inside the server's range that a canvas can hold.
fn nearest((width, height): (u32, u32), least: (u32, u32), most: (u32, u32)) -> (u32, u32) {
    let bound = |side: u32, least: u32, most: u32| {
        let most = most.clamp(1, MAX_SIDE);
        side.clamp(least.clamp(1, most), most)
    };
    let width = bound(width, least.0, most.0);
    let height = bound(height, least.1, most.1);
    (width, height.min((MAX_PIXELS / width).max(1)))
}

/// The output whose picture is the session's.
struct Head {
    output: Output,
    crtc: Crtc,
    modes: Vec<Mode>,
    before: GetCrtcInfoReply,
}

/// The first connected output, best one that shows something already.
fn find_head(
    connection: &XConnection,
    resources: &GetScreenResourcesCurrentReply,
) -> Result<Option<Head>, ReplyError> {
    let mut dark = None;
    for &output in &resources.outputs {
        let info = connection.randr_get_output_info(output, resources.config_timestamp)?.reply()?;
        if info.connection == Plug::DISCONNECTED {
            continue;
        }
        if info.crtc != x11rb::NONE {
            dark = Some((output, info.crtc, info.modes));
            break;
        }
        if let (None, Some(&crtc)) = (&dark, info.crtcs.first()) {
            dark = Some((output, crtc, info.modes));
        }
    }
    let Some((output, crtc, modes)) = dark else { return Ok(None) };
    let before = connection.randr_get_crtc_info(crtc, resources.config_timestamp)?.reply()?;
    Ok(Some(Head { output, crtc, modes, before }))
}

fn make_mode(
    connection: &XConnection,
    root: Window,
    output: Output,
    width: u16,
    height: u16,
) -> Result<Mode, ReplyOrIdError> {
    let name = mode_name(width, height);
    // No screen scans this out; the timings only have to be in order, at 60 pictures a second.
    let htotal = width.saturating_add(160);
    let vtotal = height.saturating_add(30);
    let info = ModeInfo {
        id: 0,
        width,
        height,
        dot_clock: u32::from(htotal).saturating_mul(u32::from(vtotal)).saturating_mul(60),
        hsync_start: width.saturating_add(48),
        hsync_end: width.saturating_add(80),
        htotal,
        hskew: 0,
        vsync_start: height.saturating_add(3),
        vsync_end: height.saturating_add(8),
        vtotal,
        name_len: name.len() as u16,
        mode_flags: ModeFlag::HSYNC_POSITIVE | ModeFlag::VSYNC_NEGATIVE,
    };
    let mode = connection.randr_create_mode(root, info, name.as_bytes())?.reply()?.mode;
    if let Err(error) = connection.randr_add_output_mode(output, mode)?.check() {
        connection.randr_destroy_mode(mode)?;
        return Err(error.into());
    }
    Ok(mode)
}

fn mode_name(width: u16, height: u16) -> String {
    format!("chevet-{width}x{height}")
}

/// Switches the head over; puts back what was when the server refuses. Returns whether it did not.
fn switch(
    connection: &XConnection,
    root: Window,
    resources: &GetScreenResourcesCurrentReply,
    head: &Head,
    mode: Mode,
    (width, height): (u16, u16),
) -> Result<bool, ReplyOrIdError> {
    let before = connection.get_geometry(root)?.reply()?;
    darken_heads_outside(connection, resources, head, width, height)?;
    set_head(connection, resources, head, x11rb::NONE, &[])?;
    let sized = set_size(connection, root, width, height);
    if sized.is_ok() && set_head(connection, resources, head, mode, &[head.output])? {
        return Ok(true);
    }
    set_size(connection, root, before.width, before.height)?;
    set_head(connection, resources, head, head.before.mode, &head.before.outputs)?;
    sized?;
    Ok(false)
}

/// Other heads that would reach beyond the new screen make the server refuse it.
fn darken_heads_outside(
    connection: &XConnection,
    resources: &GetScreenResourcesCurrentReply,
    head: &Head,
    width: u16,
    height: u16,
) -> Result<(), ReplyError> {
    for &crtc in resources.crtcs.iter().filter(|&&crtc| crtc != head.crtc) {
        let info = connection.randr_get_crtc_info(crtc, resources.config_timestamp)?.reply()?;
        let right = i32::from(info.x) + i32::from(info.width);
        let bottom = i32::from(info.y) + i32::from(info.height);
        if info.mode != x11rb::NONE && (right > width.into() || bottom > height.into()) {
            let rotation = randr::Rotation::ROTATE0;
            connection
                .randr_set_crtc_config(crtc, CURRENT_TIME, CURRENT_TIME, 0, 0, x11rb::NONE, rotation, &[])?
                .reply()?;
        }
    }
    Ok(())
}

fn set_head(
    connection: &XConnection,
    resources: &GetScreenResourcesCurrentReply,
    head: &Head,
    mode: Mode,
    outputs: &[Output],
) -> Result<bool, ReplyError> {
    let rotation = randr::Rotation::ROTATE0;
    let timestamp = resources.config_timestamp;
    let reply = connection
        .randr_set_crtc_config(head.crtc, CURRENT_TIME, timestamp, 0, 0, mode, rotation, outputs)?
        .reply()?;
    Ok(reply.status == SetConfig::SUCCESS)
}

fn set_size(connection: &XConnection, root: Window, width: u16, height: u16) -> Result<(), ReplyError> {
    let millimetres =
        |pixels: u16| (f64::from(pixels) * MILLIMETRES_PER_INCH / PIXELS_PER_INCH).round() as u32;
    let (across, down) = (millimetres(width).max(1), millimetres(height).max(1));
    connection.randr_set_screen_size(root, width, height, across, down)?.check()
}

/// Takes back the modes of earlier resizes, so that a thousand resizes leave one mode behind.
fn discard_old_modes(
    connection: &XConnection,
    resources: &GetScreenResourcesCurrentReply,
    head: &Head,
    kept: Mode,
) -> Result<(), ReplyOrIdError> {
    let mut names = resources.names.as_slice();
    for mode in &resources.modes {
        let (name, rest) = names.split_at(names.len().min(mode.name_len.into()));
        names = rest;
        if mode.id != kept && name == mode_name(mode.width, mode.height).as_bytes() {
            // A mode still shown elsewhere stays: the server refuses, which is right.
            connection.randr_delete_output_mode(head.output, mode.id)?.ignore_error();
            connection.randr_destroy_mode(mode.id)?.ignore_error();
        }
    }
    connection.flush_now()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_outside_the_servers_range_becomes_the_nearest_inside() {
        assert_eq!(nearest((5000, 100), (64, 128), (1920, 1080)), (1920, 128));
        assert_eq!(nearest((1280, 720), (1, 1), (1920, 1080)), (1280, 720));
        assert_eq!(nearest((0, 0), (0, 0), (1920, 1080)), (1, 1));
    }

    #[test]
    fn a_size_never_exceeds_what_a_canvas_holds() {
        let (width, height) = nearest((u32::MAX, u32::MAX), (32, 32), (32_768, 32_768));
        assert!(crate::screen::Framebuffer::new(width, height).is_ok());
    }
}
