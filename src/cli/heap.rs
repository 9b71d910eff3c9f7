//! How the system's allocator keeps memory, mallopt(3). No safe wrapper has it.

/// From this many bytes on, a block is the system's again as soon as it is freed.
const LARGE: libc::c_int = 1 << 20;
/// Free memory at the heap's end that is kept for what comes next.
const SPARE: libc::c_int = 4 << 20;

/// Gives back screens that are no longer needed. Left to itself, glibc takes the size of the first one freed to be a
/// common one, keeps all later ones on its heap, and a gateway at rest holds what it held at its busiest.
pub fn give_back_large_blocks() {
    #[cfg(target_env = "gnu")]
    for (parameter, value) in [(libc::M_MMAP_THRESHOLD, LARGE), (libc::M_TRIM_THRESHOLD, SPARE)] {
        // SAFETY: mallopt takes two integers, and refuses what it does not like.
        unsafe { libc::mallopt(parameter, value) };
    }
}
