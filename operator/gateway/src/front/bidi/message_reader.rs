//! Reads the WebSocket messages of a client that has no session yet (RFC 6455). Pure: bytes in, messages out. The bytes behind a
//! message stay as they are, so that the socket can become a tunnel there.

use std::io::Cursor;

use bytes::{Buf, Bytes, BytesMut};
use net::frames::encode;
use tokio_tungstenite::tungstenite::protocol::frame::{
    Frame, FrameHeader,
    coding::{CloseCode, Control, Data, OpCode},
};

/// The most bytes of a message: a session.new with its capabilities.
pub const MAX_MESSAGE: usize = 512 << 10;

/// A message, or a control frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A whole text message.
    Text(String),
    /// A whole message that is not text.
    Binary,
    /// A ping, to be answered with the same bytes.
    Ping(Vec<u8>),
    /// A Close frame with this code, which a client may send; 1005 where it has none (section 7.1.5).
    Close(u16),
}

/// A breach of the protocol: the socket is closed with this code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation(pub u16);

/// What a Close frame without a code counts as.
pub const NO_STATUS: u16 = 1005;
const PROTOCOL_ERROR: Violation = Violation(1002);
const NOT_UTF8: Violation = Violation(1007);
const TOO_BIG: Violation = Violation(1009);

#[derive(Debug, Default)]
pub struct Reader {
    /// Bytes that belong to no message yet.
    pub buffer: BytesMut,
    /// The message whose frames are coming in, and whether it is text.
    message: Option<(bool, Vec<u8>)>,
}

impl Reader {
    /// `read` is what had been read from the socket before.
    pub fn new(read: Bytes) -> Self {
        Self { buffer: BytesMut::from(read), message: None }
    }

    /// How many bytes it holds.
    pub fn held(&self) -> usize {
        self.buffer.len() + self.message.as_ref().map_or(0, |(_, message)| message.len())
    }

    /// Whether some frames of a message are there, and not its last.
    pub fn is_amid_message(&self) -> bool {
        self.message.is_some()
    }

    /// The next message in the buffer; `None`: more bytes are needed.
    pub fn next(&mut self) -> Result<Option<Received>, Violation> {
        loop {
            let Some((header, payload)) = self.frame()? else { return Ok(None) };
            match header.opcode {
                OpCode::Control(Control::Ping) => return Ok(Some(Received::Ping(payload))),
                OpCode::Control(Control::Pong) => continue,
                OpCode::Control(Control::Close) => {
                    return close_code(&payload).map(|code| Some(Received::Close(code)));
                }
                OpCode::Data(kind @ (Data::Text | Data::Binary)) if self.message.is_none() => {
                    self.message = Some((kind == Data::Text, payload));
                }
                OpCode::Data(Data::Continue) => {
                    let Some((_, message)) = &mut self.message else { return Err(PROTOCOL_ERROR) };
                    if message.len() + payload.len() > MAX_MESSAGE {
                        return Err(TOO_BIG);
                    }
                    message.extend(payload);
                }
                _ => return Err(PROTOCOL_ERROR),
            }
            if header.is_final
                && let Some((is_text, message)) = self.message.take()
            {
                return match (is_text, String::from_utf8(message)) {
                    (false, _) => Ok(Some(Received::Binary)),
                    (true, Ok(text)) => Ok(Some(Received::Text(text))),
                    (true, Err(_)) => Err(NOT_UTF8),
                };
            }
        }
    }

    /// The next whole frame, unmasked.
    fn frame(&mut self) -> Result<Option<(FrameHeader, Vec<u8>)>, Violation> {
        let mut cursor = Cursor::new(&self.buffer);
        let parsed = FrameHeader::parse(&mut cursor).map_err(|_| PROTOCOL_ERROR)?;
        let Some((header, length)) = parsed else { return Ok(None) };
        let head = usize::try_from(cursor.position()).map_err(|_| TOO_BIG)?;
        let length = usize::try_from(length).map_err(|_| TOO_BIG)?;
        if length > MAX_MESSAGE {
            return Err(TOO_BIG);
        }
        let is_control = matches!(header.opcode, OpCode::Control(_));
        if header.rsv1
            || header.rsv2
            || header.rsv3
            || is_control && (length > 125 || !header.is_final)
        {
            return Err(PROTOCOL_ERROR);
        }
        // Section 5.1: a client's frames are masked.
        let mask = header.mask.ok_or(PROTOCOL_ERROR)?;
        if self.buffer.len() < head + length {
            return Ok(None);
        }
        self.buffer.advance(head);
        let mut payload = self.buffer.split_to(length).to_vec();
        for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= key;
        }
        Ok(Some((header, payload)))
    }
}

/// The code of a Close frame with this payload, if the frame may have it (sections 5.5.1 and 7.4).
fn close_code(payload: &[u8]) -> Result<u16, Violation> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() { Ok(NO_STATUS) } else { Err(PROTOCOL_ERROR) };
    };
    let code = u16::from_be_bytes(*code);
    if !CloseCode::from(code).is_allowed() {
        return Err(PROTOCOL_ERROR);
    }
    std::str::from_utf8(reason).map(|_| code).map_err(|_| NOT_UTF8)
}

/// The bytes of a text message to the client.
pub fn text_frame(message: String) -> Vec<u8> {
    encode(Frame::message(message, OpCode::Data(Data::Text), true))
}

/// The bytes of the answer to a ping.
pub fn pong_frame(payload: Vec<u8>) -> Vec<u8> {
    encode(Frame::pong(payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client's frame.
    fn frame(opcode: OpCode, payload: &[u8], is_final: bool) -> Vec<u8> {
        let header =
            FrameHeader { is_final, opcode, mask: Some([1, 2, 3, 4]), ..FrameHeader::default() };
        encode(Frame::from_payload(header, payload.to_vec().into()))
    }

    fn read(bytes: &[u8]) -> (Reader, Result<Option<Received>, Violation>) {
        let mut reader = Reader::default();
        let mut outcome = Ok(None);
        // One byte at a time: a message may come in any number of pieces.
        for (i, byte) in bytes.iter().enumerate() {
            reader.buffer.extend_from_slice(&[*byte]);
            outcome = reader.next();
            if outcome != Ok(None) {
                reader.buffer.extend_from_slice(&bytes[i + 1..]);
                break;
            }
        }
        (reader, outcome)
    }

    const TEXT: OpCode = OpCode::Data(Data::Text);

    #[test]
    fn messages_come_whole_and_what_is_behind_them_stays() {
        let mut bytes = frame(TEXT, b"hel", false);
        bytes.extend(frame(OpCode::Control(Control::Pong), b"", true));
        bytes.extend(frame(OpCode::Data(Data::Continue), b"lo", true));
        bytes.extend(frame(TEXT, b"next", true));
        let (reader, received) = read(&bytes);
        assert_eq!(received, Ok(Some(Received::Text("hello".into()))));
        assert_eq!(reader.buffer, frame(TEXT, b"next", true));
    }

    #[test]
    fn control_frames_and_binary_are_told_apart() {
        for (bytes, expected) in [
            (frame(OpCode::Control(Control::Ping), b"p", true), Received::Ping(b"p".to_vec())),
            (frame(OpCode::Control(Control::Close), b"", true), Received::Close(1005)),
            (frame(OpCode::Control(Control::Close), &[3, 232], true), Received::Close(1000)),
            (frame(OpCode::Data(Data::Binary), b"x", true), Received::Binary),
        ] {
            assert_eq!(read(&bytes).1, Ok(Some(expected)));
        }
    }

    #[test]
    fn whoever_breaks_the_protocol_is_told_which_rule() {
        let unmasked = encode(Frame::message("x", TEXT, true));
        let close = |payload: &[u8]| frame(OpCode::Control(Control::Close), payload, true);
        let too_big = [0x81, 0xff, 0, 0, 0, 0, 0x10, 0, 0, 0, 1, 2, 3, 4];
        for (bytes, code) in [
            (unmasked, 1002),
            (frame(OpCode::Data(Data::Continue), b"x", true), 1002),
            (frame(OpCode::Control(Control::Ping), &[0; 126], true), 1002),
            (frame(TEXT, b"\xff", true), 1007),
            (too_big.to_vec(), 1009),
            (close(&[3]), 1002),
            (close(&[0, 0]), 1002),
            (close(&999_u16.to_be_bytes()), 1002),
            (close(&1004_u16.to_be_bytes()), 1002),
            (close(&1005_u16.to_be_bytes()), 1002),
            (close(&1006_u16.to_be_bytes()), 1002),
            (close(&1015_u16.to_be_bytes()), 1002),
            (close(&2999_u16.to_be_bytes()), 1002),
            (close(&5000_u16.to_be_bytes()), 1002),
            (close(&[3, 232, 0xff]), 1007),
        ] {
            assert_eq!(read(&bytes).1, Err(Violation(code)));
        }
    }
}
