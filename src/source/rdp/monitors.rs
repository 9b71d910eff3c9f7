//! Several screens of one session, as a configuration places them: `"1920x1080"`, `"1280x1024+1920+0"`.

use crate::screen::{MAX_PIXELS, MAX_SIDE};
use ironrdp_core::EncodeResult;
use ironrdp_displaycontrol::pdu::{DisplayControlMonitorLayout, MonitorLayoutEntry};
use ironrdp_pdu::gcc::{self, ClientMonitorData, MonitorFlags};
use serde::Deserialize;

/// As many as a host takes in its connection sequence (MS-RDPBCGR 2.2.1.3.6).
const MOST: usize = 16;

/// One screen: where it lies on the session's, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Monitor {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

impl TryFrom<String> for Monitor {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || {
            format!("{text:?} is no monitor: write \"1920x1080\", or \"1280x1024+1920+0\" for one elsewhere")
        };
        let mut parts = text.split('+');
        let (width, height) = parts.next().and_then(|size| size.split_once('x')).ok_or_else(wrong)?;
        let place: Vec<&str> = parts.collect();
        let (x, y) = match place[..] {
            [] => ("0", "0"),
            [x, y] => (x, y),
            _ => return Err(wrong()),
        };
        let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
        Ok(Monitor { x: number(x)?, y: number(y)?, width: number(width)?, height: number(height)? })
    }
}

/// What is wrong with them, with what to do. None at all are right.
pub fn fault(monitors: &[Monitor]) -> Option<String> {
    let first = monitors.first()?;
    if monitors.len() > MOST {
        return Some(format!("`monitors` are {MOST} at most"));
    }
    if (first.x, first.y) != (0, 0) {
        return Some("the first of `monitors` is the primary one: it lies at +0+0".into());
    }
    let side = |side: u32| (200..=8_192).contains(&side);
    let possible = |it: &Monitor| side(it.width) && side(it.height) && it.width.is_multiple_of(2);
    if !monitors.iter().all(possible) {
        return Some("each of `monitors` is 200 to 8192 pixels wide and high, and of an even width".into());
    }
    let apart =
        |a: &Monitor, b: &Monitor| a.x.saturating_add(a.width) <= b.x || a.y.saturating_add(a.height) <= b.y;
    let lapping =
        |(index, a): (usize, &Monitor)| monitors[index + 1..].iter().any(|b| !apart(a, b) && !apart(b, a));
    if monitors.iter().enumerate().any(lapping) {
        return Some("two of `monitors` lie on the same pixels: place them with +X+Y".into());
    }
    let (width, height) = size(monitors)?;
    if width > MAX_SIDE || height > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS.into() {
        return Some("the screen of all `monitors` is larger than 8K UHD".into());
    }
    None
}

/// The screen that holds them all.
pub fn size(monitors: &[Monitor]) -> Option<(u32, u32)> {
    let width = monitors.iter().map(|it| it.x.saturating_add(it.width)).max()?;
    let height = monitors.iter().map(|it| it.y.saturating_add(it.height)).max()?;
    Some((width, height))
}

/// For the connection sequence.
pub fn client_data(monitors: &[Monitor]) -> Option<ClientMonitorData> {
    let place = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let one = |(index, it): (usize, &Monitor)| gcc::Monitor {
        left: place(it.x),
        top: place(it.y),
        right: place(it.x + it.width - 1),
        bottom: place(it.y + it.height - 1),
        flags: if index == 0 { MonitorFlags::PRIMARY } else { MonitorFlags::empty() },
    };
    (!monitors.is_empty())
        .then(|| ClientMonitorData { monitors: monitors.iter().enumerate().map(one).collect() })
}

/// For the display control channel (MS-RDPEDISP 2.2.2.2).
pub fn display_control(monitors: &[Monitor]) -> EncodeResult<DisplayControlMonitorLayout> {
    let one = |(index, it): (usize, &Monitor)| match index {
        0 => MonitorLayoutEntry::new_primary(it.width, it.height),
        _ => MonitorLayoutEntry::new_secondary(it.width, it.height)?.with_position(it.x as i32, it.y as i32),
    };
    let entries: Vec<_> = monitors.iter().enumerate().map(one).collect::<EncodeResult<_>>()?;
    DisplayControlMonitorLayout::new(&entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> Vec<Monitor> {
        texts.iter().map(|&text| Monitor::try_from(text.to_owned()).unwrap()).collect()
    }

    #[test]
    fn monitors_are_read_and_the_screen_holds_them_all() {
        let two = read(&["1920x1080", "1280x1024+1920+0"]);
        assert_eq!(two[1], Monitor { x: 1_920, y: 0, width: 1_280, height: 1_024 });
        assert_eq!((fault(&two), size(&two)), (None, Some((3_200, 1_080))));
        assert_eq!(client_data(&two).unwrap().monitors[1].right, 3_199);
        assert_eq!(display_control(&two).unwrap().desktop_size(), (3_200, 1_080));
        for wrong in ["", "1920", "1920x", "1920x1080+5", "1920x1080+-5+0", "1920x1080+1+2+3"] {
            assert!(Monitor::try_from(wrong.to_owned()).unwrap_err().contains("monitor"), "{wrong}");
        }
    }

    #[test]
    fn monitors_that_cannot_be_are_refused_with_what_to_do() {
        let told = |texts: &[&str], part: &str| {
            let fault = fault(&read(texts)).unwrap();
            assert!(fault.contains(part), "{fault}");
        };
        told(&["640x480+640+0"], "primary");
        told(&["640x480", "640x480+600+0"], "same pixels");
        told(&["641x480"], "even");
        told(&["8000x8000"], "8K");
        told(&["640x480"; 17], "16");
        assert_eq!(fault(&[]), None);
    }
}
