//! What can be wrong with a VNC server, in words for who runs it.

/// Why a connection to a VNC server ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RfbError {
    #[error("this is not a VNC server: it greeted with {0:?} instead of a version of RFB")]
    NotRfb(String),
    #[error("the VNC server speaks RFB {0}.{1}, which is older than 3.3")]
    OldVersion(u32, u32),
    #[error("the VNC server refuses connections: {0}")]
    Refused(String),
    #[error(
        "the VNC server offers only {offered}; {wanted}. To connect without encryption all the same, set \
         `tls = \"if-offered\"` or \"never\" in the session's `vnc`"
    )]
    NeedsTls { offered: String, wanted: &'static str },
    #[error(
        "the VNC server offers only {0}, and `tls = \"never\"` asks for a connection without encryption: set `tls = \"required\"`"
    )]
    NeedsNoTls(String),
    #[error(
        "the VNC server offers encryption only without a certificate ({0}), with which anybody could stand in for \
         it: configure it for X.509 (for TigerVNC `-SecurityTypes X509Vnc -X509Cert FILE -X509Key FILE`)"
    )]
    AnonymousTls(String),
    #[error(
        "the VNC server offers only {0}; chevet knows None, VncAuth, and VeNCrypt with X509None, X509Vnc, X509Plain"
    )]
    NoCommonSecurity(String),
    #[error("the VNC server asks for a password ({0}): set `password_file` in the session's `vnc`")]
    NeedsPassword(&'static str),
    #[error(
        "the VNC server asks for a user and a password (X509Plain): set `user` and `password_file` in the session's `vnc`"
    )]
    NeedsUser,
    #[error("the VNC server did not accept the password: {0}")]
    WrongPassword(String),
    #[error("the VNC server refuses for now, after too many attempts: {0}")]
    TooManyAttempts(String),
    #[error("the VNC server's VeNCrypt is of version {0}.{1}; chevet knows 0.2")]
    VencryptVersion(u8, u8),
    #[error("the VNC server withdrew the security type that it had offered")]
    Withdrawn,
    #[error("bytes came in the clear before the encryption: somebody may be meddling with the connection")]
    EarlyBytes,
    #[error("{what} is {value}, more than the {limit} that are taken")]
    TooMuch { what: &'static str, value: u64, limit: u64 },
    #[error("{what} has the value {value}, which means nothing")]
    Meaningless { what: &'static str, value: i64 },
    #[error(
        "a rectangle of {width}x{height} at ({x}, {y}) reaches beyond the screen of {screen_width}x{screen_height}"
    )]
    Outside { x: u32, y: u32, width: u32, height: u32, screen_width: u32, screen_height: u32 },
    #[error("the VNC server's screen: {0}")]
    Size(#[from] crate::screen::SizeError),
    #[error("{0}: its compressed data is damaged")]
    Zlib(&'static str),
    #[error("{0}: its compressed data holds more than its rectangle does")]
    ZlibTooMuch(&'static str),
    #[error("{0}: its compressed data ends early")]
    ZlibTooLittle(&'static str),
    #[error("a JPEG rectangle cannot be decoded: {0}")]
    Jpeg(String),
    #[error("encoding {0}, which was not asked for")]
    UnknownEncoding(i32),
    #[error("a message of type {0}, which nobody knows")]
    UnknownMessage(u8),
}
