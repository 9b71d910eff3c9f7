//! Which X server, and how to be let in.

use std::path::{Path, PathBuf};
use x11rb::reexports::x11rb_protocol::parse_display::parse_display;
use x11rb::reexports::x11rb_protocol::xauth::{Family, get_auth};

const COOKIE: &[u8] = b"MIT-MAGIC-COOKIE-1";

/// An X server by its display, and the file with its cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XServer {
    /// As in `DISPLAY`: `:1`, or `host:1`.
    pub display: String,
    /// As in `XAUTHORITY`, which is taken when this is `None`.
    pub authority: Option<PathBuf>,
}

impl XServer {
    /// By display alone; the authority comes from the environment.
    pub fn at(display: &str) -> Self {
        XServer { display: display.to_owned(), authority: None }
    }

    /// Whether the display's name can be one. An empty name would silently mean `$DISPLAY`.
    pub(super) fn is_well_formed(&self) -> bool {
        !self.display.is_empty() && parse_display(Some(&self.display)).is_ok()
    }

    /// The name and the data of the authority to show for a display at an address.
    pub(super) fn authority(
        &self,
        family: Family,
        address: &[u8],
        number: u16,
    ) -> Option<(Vec<u8>, Vec<u8>)> {
        match &self.authority {
            Some(file) => Some((COOKIE.to_vec(), cookie(file, number)?)),
            None => get_auth(family, address, number).ok().flatten(),
        }
    }
}

/// The one entry of an authority file (libXau's format: big-endian counted strings) for any display: the
/// server picks its number only after it has read its cookie.
pub fn authority_entry(cookie: &[u8; 16]) -> Vec<u8> {
    const FAMILY_WILD: u16 = 0xffff;
    let mut entry = FAMILY_WILD.to_be_bytes().to_vec();
    for field in [&b""[..], b"", b"MIT-MAGIC-COOKIE-1", cookie] {
        entry.extend((field.len() as u16).to_be_bytes());
        entry.extend(field);
    }
    entry
}

/// The cookie for display `number` in a file of the form that libXau writes: per entry a family (two bytes,
/// big-endian), then address, display number, name and data, each with a length of two bytes before it.
fn cookie(file: &Path, number: u16) -> Option<Vec<u8>> {
    let bytes = std::fs::read(file).ok()?;
    let wanted = number.to_string().into_bytes();
    let mut rest = bytes.get(2..)?;
    loop {
        let _address = field(&mut rest)?;
        let display = field(&mut rest)?;
        let name = field(&mut rest)?;
        let data = field(&mut rest)?;
        if name == COOKIE && (display.is_empty() || display == wanted) {
            return Some(data.to_vec());
        }
        rest = rest.get(2..)?;
    }
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    let (field, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
    *rest = after;
    Some(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_display_and_broken_files_give_none() {
        let mut bytes = Vec::new();
        for (display, data) in [("7", [7; 16]), ("12", [12; 16])] {
            bytes.extend_from_slice(&256u16.to_be_bytes());
            for field in [b"host", display.as_bytes(), COOKIE, &data] {
                bytes.extend_from_slice(&(field.len() as u16).to_be_bytes());
                bytes.extend_from_slice(field);
            }
        }
        let path = std::env::temp_dir().join(format!("chevet-authority-{}", std::process::id()));
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(cookie(&path, 12), Some(vec![12; 16]));
        assert_eq!(cookie(&path, 3), None);
        for length in 0..bytes.len() {
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert!(cookie(&path, 12).is_none());
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(cookie(&path, 12), None);
    }
}
