//! Pixels to bytes and back: lossless tiles, encoder beside decoder. Pure: no wire, no session.
