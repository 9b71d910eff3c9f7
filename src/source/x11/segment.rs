//! Memory that this process and the X server share, made by us and sealed, so that a hostile server cannot
//! shrink it under our feet.

use memmap2::MmapRaw;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

pub(super) struct Segment {
    map: MmapRaw,
}

impl Segment {
    /// Memory for this many pixels, and the descriptor that the server attaches.
    pub(super) fn new(pixels: usize) -> io::Result<(Segment, OwnedFd)> {
        let fd = memfd_create("chevet-screen", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&fd, pixels as u64 * 4)?;
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::SEAL)?;
        let file = File::from(fd);
        let map = MmapRaw::map_raw(&file)?;
        Ok((Segment { map }, OwnedFd::from(file)))
    }

    /// How many pixels fit.
    pub(super) fn len(&self) -> usize {
        self.map.len() / 4
    }

    /// Copies pixels from `start` on into `row`, as many as it holds.
    ///
    /// # Panics
    /// When the segment does not hold that many.
    pub(super) fn read(&self, start: usize, row: &mut [u32]) {
        assert!(start <= self.len() && row.len() <= self.len() - start, "a row outside the segment");
        // SAFETY: the source range was checked to lie inside the mapping, which lives as long as `self`
        // and cannot shrink (sealed); mappings are page-aligned, so `start * 4` is aligned for u32; `row`
        // is ours alone and cannot overlap it. The server may write meanwhile, which can only tear
        // pixels: every bit pattern is a u32, and no reference into the mapping is made.
        unsafe {
            let source = self.map.as_ptr().cast::<u32>().add(start);
            std::ptr::copy_nonoverlapping(source, row.as_mut_ptr(), row.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn rows_read_back_what_the_other_side_wrote() {
        let (segment, fd) = Segment::new(1000).unwrap();
        let file = File::from(fd);
        for index in 0..1000u32 {
            file.write_all_at(&index.wrapping_mul(0x9e37_79b9).to_ne_bytes(), u64::from(index) * 4).unwrap();
        }
        for (start, len) in [(0, 1000), (1, 999), (999, 1), (1000, 0), (17, 64)] {
            let mut row = vec![0; len];
            segment.read(start, &mut row);
            let expected: Vec<u32> =
                (start..start + len).map(|index| (index as u32).wrapping_mul(0x9e37_79b9)).collect();
            assert_eq!(row, expected);
        }
    }

    #[test]
    fn the_other_side_cannot_shrink_the_memory() {
        let (_segment, fd) = Segment::new(4096).unwrap();
        assert!(File::from(fd).set_len(0).is_err());
    }

    #[test]
    #[should_panic(expected = "outside the segment")]
    fn a_row_outside_is_refused() {
        let (segment, _fd) = Segment::new(10).unwrap();
        segment.read(5, &mut [0; 6]);
    }
}
