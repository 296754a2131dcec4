//! The time limits of a session.

use std::{sync::Arc, time::Duration};

use agent_api::bind::Settings;
use crds::Reason;
use tokio::time::Instant;

use super::activity::{Activity, Usage};
use crate::end::EndLatch;

/// How long a session that ends with its sockets waits after one that broke without a Close frame.
const RECONNECT_GRACE: Duration = Duration::from_secs(30);

/// Ends the session when a limit is reached. Use only ever moves the idle deadline, and never nearer than one idle
/// timeout from now, so checking that often is exact, and commands and frames need not wake this task.
pub async fn watch(activity: Arc<Activity>, settings: Settings, end: EndLatch) {
    let idle_timeout = Duration::from_secs(settings.idle_timeout_seconds.into());
    loop {
        let (now, (due, reason)) = (Instant::now(), next_deadline(&settings, &activity.usage()));
        if due <= now {
            end.set(reason, message(reason, &settings));
            return;
        }
        let next_check = if idle_timeout.is_zero() { due } else { due.min(now + idle_timeout) };
        tokio::select! {
            () = end.token().cancelled_owned() => return,
            () = activity.deadline_nearer.notified() => {}
            () = tokio::time::sleep_until(next_check) => {}
        }
    }
}

/// The nearest deadline, and the reason of an end then.
fn next_deadline(settings: &Settings, usage: &Usage) -> (Instant, Reason) {
    let seconds = |n: u32| Duration::from_secs(n.into());
    let timeout = (usage.bound_at + seconds(settings.timeout_seconds), Reason::TimedOut);
    let connect = (settings.connect_timeout_seconds > 0 && usage.last_used.is_none()).then(|| {
        (usage.bound_at + seconds(settings.connect_timeout_seconds), Reason::NeverConnected)
    });
    let idle = usage
        .last_used
        .filter(|_| settings.idle_timeout_seconds > 0 && usage.running == 0)
        .map(|last| (last + seconds(settings.idle_timeout_seconds), Reason::IdleTimeout));
    let disconnect = usage.disconnected.filter(|_| ends_with_its_sockets(settings)).map(|last| {
        // A session that was reachable by its one socket alone cannot be reached again.
        let grace = if last.clean || settings.bidi_only { Duration::ZERO } else { RECONNECT_GRACE };
        (last.at + grace, Reason::Disconnected)
    });
    [connect, idle, disconnect]
        .into_iter()
        .flatten()
        .fold(timeout, |nearest, other| if other.0 < nearest.0 { other } else { nearest })
}

/// `keepAlive: false` always; absent: only a session that was reachable by its socket alone.
fn ends_with_its_sockets(settings: &Settings) -> bool {
    settings.keep_alive.map_or(settings.bidi_only, |keep_alive| !keep_alive)
}

fn message(reason: Reason, settings: &Settings) -> String {
    match reason {
        Reason::TimedOut => {
            format!("the session reached timeoutSeconds: {}", settings.timeout_seconds)
        }
        Reason::IdleTimeout => format!(
            "no command and no frame for idleTimeoutSeconds: {}",
            settings.idle_timeout_seconds
        ),
        Reason::NeverConnected => format!(
            "nobody used the session within connectTimeoutSeconds: {}",
            settings.connect_timeout_seconds
        ),
        _ => match settings.keep_alive {
            Some(_) => "the session's last socket was closed, and spec.keepAlive is false",
            None => "the session's last socket was closed, and it was reachable by that alone",
        }
        .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::activity::Disconnect;

    fn settings() -> Settings {
        Settings {
            timeout_seconds: 100,
            idle_timeout_seconds: 10,
            connect_timeout_seconds: 20,
            keep_alive: None,
            bidi_only: false,
            exposed: false,
            start_url: None,
            viewport: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_nearest_limit_decides() {
        let bound = Instant::now();
        let at = |seconds| bound + Duration::from_secs(seconds);
        let unused =
            Usage { bound_at: bound, last_used: None, running: 0, sockets: 0, disconnected: None };
        let used = Usage { last_used: Some(at(5)), ..unused };
        let dropped = Usage { disconnected: Some(Disconnect { at: at(2), clean: false }), ..used };
        let closed = Usage { disconnected: Some(Disconnect { at: at(2), clean: true }), ..used };
        let by_sockets = Settings { keep_alive: Some(false), ..settings() };
        let bidi_only = Settings { bidi_only: true, ..settings() };
        let kept = Settings { keep_alive: Some(true), ..bidi_only.clone() };
        let patient =
            Settings { idle_timeout_seconds: 0, connect_timeout_seconds: 0, ..settings() };
        for (settings, usage, due, reason) in [
            (settings(), unused, at(20), Reason::NeverConnected),
            (settings(), used, at(15), Reason::IdleTimeout),
            (settings(), Usage { running: 1, ..used }, at(100), Reason::TimedOut),
            (settings(), Usage { last_used: Some(at(95)), ..used }, at(100), Reason::TimedOut),
            (patient.clone(), unused, at(100), Reason::TimedOut),
            (patient, used, at(100), Reason::TimedOut),
            (settings(), closed, at(15), Reason::IdleTimeout),
            (by_sockets.clone(), closed, at(2), Reason::Disconnected),
            (by_sockets, dropped, at(15), Reason::IdleTimeout),
            (bidi_only.clone(), closed, at(2), Reason::Disconnected),
            (bidi_only, dropped, at(2), Reason::Disconnected),
            (kept, closed, at(15), Reason::IdleTimeout),
        ] {
            assert_eq!(next_deadline(&settings, &usage), (due, reason), "{settings:?} {usage:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_is_used_is_not_idle() {
        let (activity, end) = (Arc::new(Activity::new(Instant::now())), EndLatch::default());
        let watching = tokio::spawn(watch(activity.clone(), settings(), end.clone()));
        let begun = Instant::now();
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_secs(8)).await;
            activity.touch();
        }
        assert!(!end.is_set());
        assert_eq!(end.wait().await.reason, Reason::IdleTimeout);
        assert_eq!(begun.elapsed().as_secs(), 48 + 10);
        watching.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_command_is_not_idleness() {
        let (activity, end) = (Arc::new(Activity::new(Instant::now())), EndLatch::default());
        let watching = tokio::spawn(watch(activity.clone(), settings(), end.clone()));
        let begun = Instant::now();
        let command = activity.start_command();
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(command);
        assert_eq!(end.wait().await.reason, Reason::IdleTimeout);
        assert_eq!(begun.elapsed().as_secs(), 60 + 10);
        watching.await.unwrap();
    }
}
