/// A pointer button.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Button {
    Left = 1,
    Middle = 2,
    Right = 3,
    Back = 8,
    Forward = 9,
}

/// What a viewer's user does to the session.
///
/// `Debug` is not derived: keystrokes never reach a log.
#[derive(Clone, PartialEq)]
pub enum InputEvent {
    /// A key goes down. `key` names the physical key (USB HID usage, page 7; 0 when unknown), `keysym`
    /// the X11 keysym that the viewer's own layout gave it, modifiers included. Repeats are sent again.
    KeyDown {
        key: u16,
        keysym: u32,
    },
    /// The physical key goes up, whatever symbol it would have by now. With `key` 0, `keysym` says which.
    KeyUp {
        key: u16,
        keysym: u32,
    },
    /// Text that no single key makes: an input method's, or a paste as typing. At most
    /// [`limits::MAX_TEXT`](crate::wire) bytes of UTF-8.
    Text(String),
    /// Every held key and button goes up: the viewer lost the keyboard.
    ReleaseAll,
    /// The pointer, in pixels of the session's screen.
    PointerMove {
        x: u16,
        y: u16,
    },
    PointerButton {
        button: Button,
        down: bool,
        x: u16,
        y: u16,
    },
    /// The wheel, in 120ths of a notch: positive is right and down.
    Wheel {
        horizontal: i16,
        vertical: i16,
        x: u16,
        y: u16,
    },
}
