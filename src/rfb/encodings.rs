//! Encodings and pseudo-encodings by number and name.

pub const RAW: i32 = 0;
pub const COPY_RECT: i32 = 1;
pub const HEXTILE: i32 = 5;
pub const TIGHT: i32 = 7;
pub const ZRLE: i32 = 16;
pub const DESKTOP_SIZE: i32 = -223;
pub const LAST_RECT: i32 = -224;
pub const POINTER_POSITION: i32 = -232;
pub const CURSOR: i32 = -239;
pub const QEMU_KEYS: i32 = -258;
pub const LED_STATE: i32 = -261;
pub const DESKTOP_NAME: i32 = -307;
pub const EXTENDED_DESKTOP_SIZE: i32 = -308;
pub const FENCE: i32 = -312;
pub const CONTINUOUS_UPDATES: i32 = -313;
pub const ALPHA_CURSOR: i32 = -314;
pub const EXTENDED_CLIPBOARD: i32 = 0xc0a1_e5ce_u32 as i32;
/// JPEG quality 0; the others follow up to 9. Without one of them, servers send no JPEG.
pub const JPEG_QUALITY_0: i32 = -32;

/// The encodings of pixels that chevet reads, best first.
pub const PIXELS: [i32; 5] = [COPY_RECT, TIGHT, ZRLE, HEXTILE, RAW];
/// What else it reads.
pub const EXTENSIONS: [i32; 12] = [
    ALPHA_CURSOR,
    CURSOR,
    POINTER_POSITION,
    EXTENDED_DESKTOP_SIZE,
    DESKTOP_SIZE,
    LAST_RECT,
    DESKTOP_NAME,
    FENCE,
    CONTINUOUS_UPDATES,
    EXTENDED_CLIPBOARD,
    QEMU_KEYS,
    LED_STATE,
];

/// What people call an encoding.
pub fn name(encoding: i32) -> &'static str {
    match encoding {
        RAW => "Raw",
        COPY_RECT => "CopyRect",
        HEXTILE => "Hextile",
        TIGHT => "Tight",
        ZRLE => "ZRLE",
        DESKTOP_SIZE => "DesktopSize",
        LAST_RECT => "LastRect",
        POINTER_POSITION => "PointerPosition",
        CURSOR => "Cursor",
        QEMU_KEYS => "QEMU extended keys",
        LED_STATE => "LED state",
        DESKTOP_NAME => "DesktopName",
        EXTENDED_DESKTOP_SIZE => "ExtendedDesktopSize",
        FENCE => "Fence",
        CONTINUOUS_UPDATES => "ContinuousUpdates",
        ALPHA_CURSOR => "Cursor with alpha",
        EXTENDED_CLIPBOARD => "extended clipboard",
        _ => "unknown",
    }
}
