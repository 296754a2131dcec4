//! The last lines that driver and browser wrote: what explains an end that nobody wanted.

use std::{collections::VecDeque, io, sync::Arc};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::redaction::{is_noise, redacted};

const MAX_LINES: usize = 20;
/// The most bytes of a line that are kept.
const MAX_LINE: usize = 512;
/// The most bytes that are told: with the end's reason they fit into a termination message.
const MAX_TOLD: usize = 1024;
/// How much is read at a time, in bytes.
const CHUNK: usize = 4096;
const BETWEEN_LINES: &str = " | ";

/// Holds a few lines, however much is written. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Output(Arc<Mutex<VecDeque<String>>>);

impl Output {
    /// Reads a stream to its end, and shows each line to `see`.
    pub async fn follow(
        &self,
        mut stream: impl AsyncRead + Unpin,
        mut see: impl FnMut(&str),
    ) -> io::Result<()> {
        let (mut chunk, mut line) = (vec![0; CHUNK], Vec::new());
        loop {
            let length = stream.read(&mut chunk).await?;
            for piece in chunk[..length].split_inclusive(|byte| *byte == b'\n') {
                let (text, is_whole) = match piece.strip_suffix(b"\n") {
                    Some(text) => (text, true),
                    None => (piece, false),
                };
                line.extend_from_slice(&text[..text.len().min(MAX_LINE - line.len())]);
                if is_whole {
                    self.keep(&line, &mut see);
                    line.clear();
                }
            }
            if length == 0 {
                self.keep(&line, &mut see);
                return Ok(());
            }
        }
    }

    fn keep(&self, line: &[u8], see: &mut impl FnMut(&str)) {
        let line = String::from_utf8_lossy(line);
        if !is_noise(&line) {
            let mut lines = self.0.lock();
            if lines.len() == MAX_LINES {
                lines.pop_front();
            }
            lines.push_back(line.clone().into_owned());
        }
        see(&line);
    }

    /// What was written so far explains nothing.
    pub fn forget(&self) {
        self.0.lock().clear();
    }

    /// A message, and behind it the last lines, as far as they may be told.
    pub fn explain(&self, message: &str) -> String {
        let lines = self.0.lock().clone();
        let mut left = MAX_TOLD;
        let mut told: Vec<String> = lines
            .iter()
            .rev()
            .filter_map(|line| redacted(line))
            .take_while(|line| {
                let length = line.len() + BETWEEN_LINES.len();
                let fits = length <= left;
                left = left.saturating_sub(length);
                fits
            })
            .collect();
        if told.is_empty() {
            return message.to_owned();
        }
        told.reverse();
        format!("{message}; driver and browser wrote last: {}", told.join(BETWEEN_LINES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn after(written: &[u8]) -> String {
        let output = Output::default();
        output.follow(written, |_| {}).await.unwrap();
        output.explain("m")
    }

    #[tokio::test]
    async fn the_last_lines_are_told_and_no_secret_of_them() {
        assert_eq!(after(b"").await, "m");
        assert_eq!(after(b"\n \n").await, "m");
        assert_eq!(
            after(b"one\nGET http://a/?key=1\nnot \xff UTF-8").await,
            "m; driver and browser wrote last: one | GET http://a/ | not \u{fffd} UTF-8"
        );
    }

    #[tokio::test]
    async fn however_much_is_written_little_is_kept() {
        let many: String = (0..1000).map(|n| format!("line {n}\n")).collect();
        let told = after(many.as_bytes()).await;
        assert!(told.contains(": line 980 | ") && told.ends_with("line 999"), "{told}");

        let noise =
            "[1:1:1129/1.2:ERROR:dbus/bus.cc:405] Failed to connect to the bus\n".repeat(50);
        assert!(after(format!("what matters\n{noise}").as_bytes()).await.ends_with("what matters"));

        let one_line = after(&vec![b'!'; 1 << 20]).await;
        assert!(one_line.len() < MAX_LINE + 64, "{}", one_line.len());

        let long: String = (0..100).map(|n| format!("{n} {}\n", "-".repeat(400))).collect();
        let told = after(long.as_bytes()).await;
        assert!(told.len() < MAX_TOLD + 64 && told.contains("99 ---"), "{told}");
    }

    #[tokio::test]
    async fn lines_are_seen_whole_however_they_arrive() {
        let (reader, mut writer) = tokio::io::duplex(3);
        let mut seen = Vec::new();
        let output = Output::default();
        let writing = async {
            tokio::io::AsyncWriteExt::write_all(&mut writer, b"listening on 7\nrest")
                .await
                .unwrap();
            drop(writer);
        };
        let (followed, ()) =
            tokio::join!(output.follow(reader, |line| seen.push(line.to_owned())), writing);
        followed.unwrap();
        assert_eq!(seen, ["listening on 7", "rest"]);
        output.forget();
        assert_eq!(output.explain("m"), "m");
    }
}
