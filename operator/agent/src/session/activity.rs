//! How a session is used: what its time limits are counted from.

use std::sync::OnceLock;

use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::Notify, time::Instant};

use super::closing_windows::{CloseCommand, ClosingWindows};

/// The use of a session, at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub bound_at: Instant,
    /// The last command or frame, in either direction; `None`: no client came yet.
    pub last_used: Option<Instant>,
    /// Commands that are running.
    pub running: usize,
    /// Client sockets that are open.
    pub sockets: usize,
    /// How and when the last socket closed, while none is open.
    pub disconnected: Option<Disconnect>,
}

/// The end of a session's last socket.
#[derive(Clone, Copy, Debug)]
pub struct Disconnect {
    pub at: Instant,
    /// Whether it ended with a Close frame.
    pub clean: bool,
}

/// The use of a session so far.
#[derive(Debug)]
pub struct Activity {
    usage: Mutex<Usage>,
    closing_windows: Mutex<ClosingWindows>,
    /// When the browser was first seen to be gone, and whether its last window was being closed then.
    browser_gone: OnceLock<(Instant, bool)>,
    /// Notified when a deadline may have come nearer.
    pub deadline_nearer: Notify,
}

impl Activity {
    /// A session that is bound now.
    pub fn new(now: Instant) -> Self {
        let usage =
            Usage { bound_at: now, last_used: None, running: 0, sockets: 0, disconnected: None };
        Self {
            usage: Mutex::new(usage),
            closing_windows: Mutex::default(),
            browser_gone: OnceLock::new(),
            deadline_nearer: Notify::new(),
        }
    }

    pub fn usage(&self) -> Usage {
        *self.usage.lock()
    }

    /// A frame was carried.
    pub fn touch(&self) {
        self.usage.lock().last_used = Some(Instant::now());
    }

    /// A command runs until the guard is dropped.
    pub fn start_command(&self) -> RunningCommand<'_> {
        let mut usage = self.usage.lock();
        usage.running += 1;
        usage.last_used = Some(Instant::now());
        RunningCommand(self)
    }

    /// A Classic command closes a window until the guard is dropped.
    pub fn start_closing_window(&self) -> ClosingWindow<'_> {
        let command = self.closing_windows().start_classic(Instant::now());
        ClosingWindow { activity: self, command }
    }

    /// Whether a browser that is gone went because of its last window. The first call decides; later only an answer that
    /// names windows can revoke it, because what a client closes after that explains nothing.
    pub fn lost_last_window(&self) -> bool {
        let closing = self.closing_windows();
        let (gone_at, was_last) = *self.browser_gone.get_or_init(|| {
            let now = Instant::now();
            (now, closing.explains_exit(now))
        });
        was_last && closing.explains_exit(gone_at)
    }

    pub fn closing_windows(&self) -> MutexGuard<'_, ClosingWindows> {
        self.closing_windows.lock()
    }

    pub fn socket_opened(&self) {
        let mut usage = self.usage.lock();
        usage.sockets += 1;
        usage.disconnected = None;
        usage.last_used = Some(Instant::now());
    }

    /// `clean`: whether it ended with a Close frame.
    pub fn socket_closed(&self, clean: bool) {
        let mut usage = self.usage.lock();
        usage.sockets = usage.sockets.saturating_sub(1);
        if usage.sockets == 0 {
            usage.disconnected = Some(Disconnect { at: Instant::now(), clean });
        }
        drop(usage);
        self.deadline_nearer.notify_one();
    }
}

/// A command that is running.
pub struct RunningCommand<'a>(&'a Activity);

impl Drop for RunningCommand<'_> {
    fn drop(&mut self) {
        let mut usage = self.0.usage.lock();
        usage.running = usage.running.saturating_sub(1);
        usage.last_used = Some(Instant::now());
    }
}

/// A Classic command that closes a window.
pub struct ClosingWindow<'a> {
    activity: &'a Activity,
    command: CloseCommand,
}

impl ClosingWindow<'_> {
    /// The driver answered which windows are left.
    pub fn answered(self) {
        self.activity.closing_windows().finish_classic(self.command);
    }
}

impl Drop for ClosingWindow<'_> {
    fn drop(&mut self) {
        // Does nothing for a command that was answered: it is no longer known.
        self.activity.closing_windows().abandon(self.command, Instant::now());
    }
}
