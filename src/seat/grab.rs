//! Taking an input device for this program alone.

use rustix::ioctl::{IntegerSetter, ioctl, opcode};
use std::os::fd::AsFd;

/// `EVIOCGRAB`: from now on what the device types reaches nobody else. It ends when the device is closed.
pub fn for_this_program_alone(device: &impl AsFd) -> std::io::Result<()> {
    const GRAB: rustix::ioctl::Opcode = opcode::write::<i32>(b'E', 0x90);
    // SAFETY: EVIOCGRAB takes an integer by value, no pointer, and devices that do not know it answer with an error.
    unsafe { ioctl(device, IntegerSetter::<GRAB>::new_usize(1)) }.map_err(std::io::Error::from)
}
