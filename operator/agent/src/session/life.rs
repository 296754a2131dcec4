//! How a session is used: what the limits are counted from.

use std::sync::OnceLock;

use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::Notify, time::Instant};

use super::closing::{Closing, Command};

/// The use of a session, at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    /// When it was bound.
    pub bound: Instant,
    /// The last command or frame, in either direction; `None`: nobody came yet.
    pub last: Option<Instant>,
    /// Commands that are running.
    pub running: usize,
    /// Sockets that are open.
    pub sockets: usize,
    /// How and when the last socket went, while there is none.
    pub left: Option<Left>,
}

/// The end of a session's last socket.
#[derive(Clone, Copy, Debug)]
pub struct Left {
    /// When.
    pub at: Instant,
    /// Whether it said goodbye with a Close frame.
    pub closed: bool,
}

/// The use of a session so far.
#[derive(Debug)]
pub struct Life {
    usage: Mutex<Use>,
    closing: Mutex<Closing>,
    /// When it was first seen that the browser is gone, and whether that was because of its last window.
    gone: OnceLock<(Instant, bool)>,
    /// Woken when a deadline may have come nearer.
    pub nearer: Notify,
}

impl Life {
    /// A session that begins now.
    pub fn begin(now: Instant) -> Self {
        let usage = Use { bound: now, last: None, running: 0, sockets: 0, left: None };
        let (closing, gone) = (Mutex::default(), OnceLock::new());
        Self { usage: Mutex::new(usage), closing, gone, nearer: Notify::new() }
    }

    /// How it has been used.
    pub fn usage(&self) -> Use {
        *self.usage.lock()
    }

    /// A frame went by.
    pub fn touch(&self) {
        self.usage.lock().last = Some(Instant::now());
    }

    /// A command runs until what is returned is dropped.
    pub fn command(&self) -> Running<'_> {
        let mut usage = self.usage.lock();
        usage.running += 1;
        usage.last = Some(Instant::now());
        Running(self)
    }

    /// A command closes a window until what is returned is dropped.
    pub fn close_window(&self) -> CloseWindow<'_> {
        let command = self.closing().asked_over_http(Instant::now());
        CloseWindow { life: self, command }
    }

    /// The browser is gone. Whether that was because of its last window is settled when it is first seen, and can only be
    /// unsaid, by an answer that names windows: what a client closes later explains nothing.
    pub fn lost_its_last_window(&self) -> bool {
        let closing = self.closing();
        let (gone, was) = *self.gone.get_or_init(|| {
            let now = Instant::now();
            (now, closing.is_the_last(now))
        });
        was && closing.is_the_last(gone)
    }

    /// The windows that are being closed.
    pub fn closing(&self) -> MutexGuard<'_, Closing> {
        self.closing.lock()
    }

    /// A socket was opened.
    pub fn socket_opened(&self) {
        let mut usage = self.usage.lock();
        usage.sockets += 1;
        usage.left = None;
        usage.last = Some(Instant::now());
    }

    /// A socket is gone; `closed` if it said so.
    pub fn socket_gone(&self, closed: bool) {
        let mut usage = self.usage.lock();
        usage.sockets = usage.sockets.saturating_sub(1);
        if usage.sockets == 0 {
            usage.left = Some(Left { at: Instant::now(), closed });
        }
        drop(usage);
        self.nearer.notify_one();
    }
}

/// A command that is running.
pub struct Running<'a>(&'a Life);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut usage = self.0.usage.lock();
        usage.running = usage.running.saturating_sub(1);
        usage.last = Some(Instant::now());
    }
}

/// A command that closes a window, over HTTP.
pub struct CloseWindow<'a> {
    life: &'a Life,
    command: Command,
}

impl CloseWindow<'_> {
    /// The driver said what is left.
    pub fn answered(self) {
        self.life.closing().over(self.command);
    }
}

impl Drop for CloseWindow<'_> {
    fn drop(&mut self) {
        // Of one that was answered nothing is known any more.
        self.life.closing().left(self.command, Instant::now());
    }
}
