//! The decoded framebuffer in a memory-mapped file that any program may poll.
//!
//! A header of 64 bytes, little-endian and packed: magic `CHEVETFB`, u32 width, u32 height, u32 stride in bytes
//! (offsets 8, 12, 16), u64 generation (20), u64 updates presented (28), u64 `CLOCK_MONOTONIC` nanoseconds of the
//! last one (36), zeros. Then rows of B, G, R, X.

use crate::clock;
use crate::screen::{Framebuffer, TileId};
use memmap2::MmapMut;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{Ordering, fence};

/// The first eight bytes.
pub const MAGIC: &[u8; 8] = b"CHEVETFB";
const HEADER: usize = 64;

#[derive(Debug, thiserror::Error)]
#[error("keeping the mirror {path}: {source}; give a file that can be written, on a disk with room")]
pub struct MirrorError {
    path: PathBuf,
    source: std::io::Error,
}

/// A mirror file of one viewer's screen.
pub struct Mirror {
    path: PathBuf,
    file: File,
    map: MmapMut,
    size: (u32, u32),
    updates: u64,
}

impl Mirror {
    /// Makes the file anew, with no pixels yet.
    pub fn create(path: &Path) -> Result<Self, MirrorError> {
        let failed = |source| MirrorError { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(path).map_err(failed)?;
        // In one write: whoever polls finds no header, or all of it.
        (&file).write_all(&header((0, 0), 0, 0)).map_err(failed)?;
        let map = map(&file).map_err(failed)?;
        Ok(Mirror { path: path.to_owned(), file, map, size: (0, 0), updates: 0 })
    }

    /// Shows the tiles that an update changed, and then says so in the header.
    pub fn present(
        &mut self,
        screen: &Framebuffer,
        tiles: &[TileId],
        generation: u64,
    ) -> Result<(), MirrorError> {
        let size = (screen.width(), screen.height());
        if size != self.size {
            self.resize(size).map_err(|source| MirrorError { path: self.path.clone(), source })?;
            for y in 0..screen.height() {
                self.write_row(screen, 0, y, screen.width());
            }
        } else {
            let grid = screen.grid();
            for &tile in tiles {
                let rect = grid.rect(tile);
                for y in rect.y..rect.bottom() {
                    self.write_row(screen, rect.x, y, rect.width);
                }
            }
        }
        self.updates += 1;
        fence(Ordering::Release);
        self.write_header(generation);
        Ok(())
    }

    fn resize(&mut self, size: (u32, u32)) -> std::io::Result<()> {
        let pixels = size.0 as usize * size.1 as usize;
        self.file.set_len((HEADER + pixels * 4) as u64)?;
        self.map = map(&self.file)?;
        self.size = size;
        Ok(())
    }

    fn write_row(&mut self, screen: &Framebuffer, x: u32, y: u32, width: u32) {
        let start = HEADER + (y as usize * self.size.0 as usize + x as usize) * 4;
        let target = &mut self.map[start..start + width as usize * 4];
        let (words, _) = target.as_chunks_mut::<4>();
        for (word, pixel) in words.iter_mut().zip(screen.row(x, y, width)) {
            *word = pixel.to_le_bytes();
        }
    }

    fn write_header(&mut self, generation: u64) {
        self.map[..HEADER].copy_from_slice(&header(self.size, generation, self.updates));
    }
}

fn header(size: (u32, u32), generation: u64, updates: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    for (at, value) in [(8, size.0), (12, size.1), (16, size.0 * 4)] {
        header[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    for (at, value) in [(20, generation), (28, updates), (36, clock::now_ns())] {
        header[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    header
}

fn map(file: &File) -> std::io::Result<MmapMut> {
    // SAFETY: the file is this program's own; another one that writes to or shortens it harms only the mirror's
    // readers, or ends this viewer.
    unsafe { MmapMut::map_mut(file) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn whoever_polls_never_finds_half_a_header() {
        let path = std::env::temp_dir().join(format!("chevet-mirror-{}", std::process::id()));
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let polling = scope.spawn(|| {
                let mut found = 0;
                while !done.load(Ordering::Relaxed) {
                    let bytes = std::fs::read(&path).unwrap_or_default();
                    if !bytes.is_empty() {
                        assert_eq!(bytes.get(..MAGIC.len()), Some(&MAGIC[..]));
                        found += 1;
                    }
                }
                found
            });
            for _ in 0..2000 {
                Mirror::create(&path).unwrap();
            }
            done.store(true, Ordering::Relaxed);
            assert!(polling.join().unwrap() > 0, "the file was never there to be read");
        });
        std::fs::remove_file(path).unwrap();
    }
}
