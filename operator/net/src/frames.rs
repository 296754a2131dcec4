//! Where WebSocket frames begin and end (RFC 6455, section 5.2), without looking at what they carry.

/// The frame's last of a message, and the bits of its kind.
const FIN: u8 = 0x80;
const OPCODE: u8 = 0x0f;
const CLOSE: u8 = 0x08;
const PING: u8 = 0x09;
const PONG: u8 = 0x0a;
/// In a frame's second byte: whether a mask follows the length, and the length itself.
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
/// The longest header: two bytes, eight of length, four of mask.
const MAX_HEADER: usize = 14;
/// The longest reason of a Close frame (section 5.5).
const MAX_REASON: usize = 123;

/// One direction of a socket, followed frame by frame.
#[derive(Debug, Default)]
pub struct Frames {
    header: [u8; MAX_HEADER],
    /// How much of the header has come.
    have: usize,
    /// How much of the payload is still to come.
    left: u64,
    /// Whether the frame that is going by is a ping or a pong.
    keeps_alive: bool,
    closed: bool,
}

impl Frames {
    /// Follows what goes by. Gives whether there was more in it than pings and pongs.
    pub fn pass(&mut self, mut bytes: &[u8]) -> bool {
        let mut says_something = false;
        while !bytes.is_empty() {
            if self.left > 0 {
                says_something |= !self.keeps_alive;
                let skipped = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            self.header[self.have] = bytes[0];
            self.have += 1;
            bytes = &bytes[1..];
            if self.have >= 2 && self.have == header_length(self.header[1]) {
                let opcode = self.header[0] & OPCODE;
                self.closed |= opcode == CLOSE;
                self.keeps_alive = matches!(opcode, PING | PONG);
                says_something |= !self.keeps_alive;
                self.left = payload_length(&self.header);
                self.have = 0;
            }
        }
        says_something
    }

    /// Whether a frame has just ended, so that another may be put here.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.have == 0 && self.left == 0
    }

    /// Whether a Close frame went by.
    #[must_use]
    pub fn closed(&self) -> bool {
        self.closed
    }
}

fn header_length(second: u8) -> usize {
    let length = match second & LENGTH {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + length + if second & MASKED == 0 { 0 } else { 4 }
}

fn payload_length(header: &[u8; MAX_HEADER]) -> u64 {
    match header[1] & LENGTH {
        126 => u64::from(u16::from_be_bytes([header[2], header[3]])),
        127 => header[2..10].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        length => u64::from(length),
    }
}

/// A server's Close frame. A reason that is too long is cut.
#[must_use]
pub fn close(code: u16, reason: &str) -> Vec<u8> {
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    control(CLOSE, &payload)
}

/// A server's ping.
#[must_use]
pub fn ping() -> Vec<u8> {
    control(PING, &[])
}

/// `payload` has at most 125 bytes.
fn control(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap_or(LENGTH) & LENGTH;
    [&[FIN | opcode, length], payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let mut frames = Frames::default();
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
    fn pings_and_pongs_say_nothing() {
        for (first, length, says_something) in
            [(0x89, 4, false), (0x8a, 0, false), (0x81, 0, true), (0x82, 4, true), (0x88, 2, true)]
        {
            let bytes = frame(first, true, length);
            assert_eq!(Frames::default().pass(&bytes), says_something, "{first:x}");
            let mut frames = Frames::default();
            let pieces = bytes.chunks(1).map(|piece| frames.pass(piece));
            assert_eq!(pieces.fold(false, |any, one| any | one), says_something, "{first:x}");
        }
    }

    #[test]
    fn a_close_frame_is_seen_and_made() {
        let mut frames = Frames::default();
        assert!(frames.pass(&frame(0x88, true, 2)));
        assert!(frames.closed());
        assert_eq!(close(1001, "ä"), [0x88, 4, 3, 233, 0xc3, 0xa4]);
        assert_eq!(close(1000, &"ä".repeat(99)).len(), 2 + 2 + 122);
        assert_eq!(ping(), [0x89, 0]);
    }
}
