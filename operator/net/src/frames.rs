//! WebSocket frames (RFC 6455, section 5.2): where they begin and end in a stream, and those that a server makes.

use std::io::Cursor;

use tokio_tungstenite::tungstenite::protocol::{
    CloseFrame,
    frame::{
        Frame, FrameHeader,
        coding::{Control, Data, OpCode},
    },
};

/// The longest header: two bytes, eight of length, four of mask.
const MAX_HEADER: usize = 14;
/// The longest reason of a Close frame (section 5.5).
const MAX_REASON: usize = 123;
const FIN: u8 = 0x80;

/// Follows one direction of a socket frame by frame, without looking at what the frames carry.
#[derive(Debug, Default)]
pub struct FrameTracker {
    /// The part of a header that has come, where it came without the rest.
    header: [u8; MAX_HEADER],
    header_len: usize,
    /// How many bytes of the payload are still to come.
    payload_left: u64,
    /// Whether the current frame is a ping or a pong.
    is_keep_alive: bool,
    closed: bool,
}

impl FrameTracker {
    /// Follows bytes that go by. Returns whether there was more in them than pings and pongs.
    pub fn pass(&mut self, mut bytes: &[u8]) -> bool {
        let mut carries_data = false;
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                carries_data |= !self.is_keep_alive;
                let left = usize::try_from(self.payload_left).unwrap_or(usize::MAX);
                let skipped = bytes.len().min(left);
                self.payload_left -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            let Some((opcode, payload, behind)) = self.header(bytes) else { break };
            self.closed |= opcode == OpCode::Control(Control::Close);
            self.is_keep_alive = matches!(opcode, OpCode::Control(Control::Ping | Control::Pong));
            carries_data |= !self.is_keep_alive;
            self.payload_left = payload;
            bytes = behind;
        }
        carries_data
    }

    /// Reads a header: its opcode, its payload's length, and what stands behind it. `None`: more bytes are needed.
    fn header<'a>(&mut self, bytes: &'a [u8]) -> Option<(OpCode, u64, &'a [u8])> {
        if self.header_len == 0
            && let Some((opcode, payload, length)) = parse(bytes)
        {
            return Some((opcode, payload, &bytes[length..]));
        }
        let before = self.header_len;
        let more = bytes.len().min(MAX_HEADER - before);
        self.header[before..before + more].copy_from_slice(&bytes[..more]);
        self.header_len += more;
        let (opcode, payload, length) = parse(&self.header[..self.header_len])?;
        self.header_len = 0;
        Some((opcode, payload, &bytes[length - before..]))
    }

    /// Whether a frame has just ended, so that another may be put here.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.header_len == 0 && self.payload_left == 0
    }

    #[must_use]
    pub fn closed(&self) -> bool {
        self.closed
    }
}

/// The opcode, the payload's length and the header's own; `None` where the header is not whole.
fn parse(bytes: &[u8]) -> Option<(OpCode, u64, usize)> {
    let mut cursor = Cursor::new(bytes);
    let (header, payload) = match FrameHeader::parse(&mut cursor) {
        Ok(parsed) => parsed?,
        // A reserved opcode, which is for the ends to refuse. Its header is as long as any other's.
        Err(_) => {
            let mut known = [0; MAX_HEADER];
            let length = bytes.len().min(MAX_HEADER);
            known[..length].copy_from_slice(&bytes[..length]);
            known[0] = FIN | u8::from(OpCode::Data(Data::Binary));
            return parse(&known[..length]);
        }
    };
    Some((header.opcode, payload, usize::try_from(cursor.position()).ok()?))
}

/// A server's Close frame. A reason that is too long is cut.
#[must_use]
pub fn close(CloseFrame { code, reason }: &CloseFrame) -> Vec<u8> {
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    encode(Frame::close(Some(CloseFrame { code: *code, reason: reason[..end].into() })))
}

#[must_use]
pub fn ping() -> Vec<u8> {
    encode(Frame::ping(Vec::new()))
}

#[must_use]
pub fn encode(frame: Frame) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(frame.len());
    // Writing to memory does not fail.
    if let Err(error) = frame.format(&mut bytes) {
        tracing::error!(%error, "frame");
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASKED: u8 = 0x80;

    fn close_frame(code: u16, reason: &str) -> CloseFrame {
        CloseFrame { code: code.into(), reason: reason.into() }
    }

    fn frame(first: u8, masked: bool, length: usize) -> Vec<u8> {
        let mask = if masked { MASKED } else { 0 };
        let mut bytes = vec![first];
        match length {
            0..126 => bytes.push(mask | u8::try_from(length).unwrap()),
            126..65536 => {
                bytes.push(mask | 126);
                bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(mask | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.resize(bytes.len() + if masked { 4 } else { 0 } + length, 0x88);
        bytes
    }

    #[test]
    fn frames_are_followed_however_they_come() {
        let mut bytes = Vec::new();
        let mut boundaries = vec![0];
        for (masked, length) in
            [(false, 0), (true, 0), (true, 5), (false, 125), (true, 126), (false, 70_000)]
        {
            bytes.extend(frame(0x81, masked, length));
            boundaries.push(bytes.len());
        }
        for step in [1, 2, 3, 1000, bytes.len()] {
            let mut frames = FrameTracker::default();
            let mut seen = 0;
            for piece in bytes.chunks(step) {
                assert_eq!(frames.at_boundary(), boundaries.contains(&seen), "at {seen}");
                frames.pass(piece);
                seen += piece.len();
            }
            assert!(frames.at_boundary() && !frames.closed());
        }
    }

    #[test]
    fn a_frame_of_an_unknown_kind_is_followed_too() {
        for step in [1, 3, 1000] {
            let bytes = [frame(0x83, true, 300), frame(0x8b, false, 5)].concat();
            let mut frames = FrameTracker::default();
            for piece in bytes.chunks(step) {
                frames.pass(piece);
            }
            assert!(frames.at_boundary() && !frames.closed());
        }
    }

    #[test]
    fn pings_and_pongs_say_nothing() {
        for (first, length, says_something) in
            [(0x89, 4, false), (0x8a, 0, false), (0x81, 0, true), (0x82, 4, true), (0x88, 2, true)]
        {
            let bytes = frame(first, true, length);
            assert_eq!(FrameTracker::default().pass(&bytes), says_something, "{first:x}");
            let mut frames = FrameTracker::default();
            let pieces = bytes.chunks(1).map(|piece| frames.pass(piece));
            assert_eq!(pieces.fold(false, |any, one| any | one), says_something, "{first:x}");
        }
    }

    #[test]
    fn a_close_frame_is_seen_and_made() {
        let mut frames = FrameTracker::default();
        assert!(frames.pass(&frame(0x88, true, 2)));
        assert!(frames.closed());
        assert_eq!(close(&close_frame(1001, "ä")), [0x88, 4, 3, 233, 0xc3, 0xa4]);
        assert_eq!(close(&close_frame(1000, &"ä".repeat(99))).len(), 2 + 2 + 122);
        assert_eq!(ping(), [0x89, 0]);
    }
}
