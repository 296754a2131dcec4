//! When a session has lived long enough.

use crds::Reason;
use std::{sync::Arc, time::Duration};

use agent_api::bind::Settings;
use tokio::time::Instant;

use super::life::{Life, Use};
use crate::ending::Ending;

/// How long a session that lives by its sockets waits for one that was merely dropped.
const DROPPED_GRACE: Duration = Duration::from_secs(30);

/// Ends the session when it is time. Use only ever moves the idle deadline, and never nearer than a whole idle
/// timeout from now, so looking again that often is exact, and commands and frames need not wake this task.
pub async fn watch(life: Arc<Life>, settings: Settings, ending: Ending) {
    let idle = Duration::from_secs(settings.idle_timeout_seconds.into());
    loop {
        let (now, (due, reason)) = (Instant::now(), next(&settings, &life.usage()));
        if due <= now {
            ending.begin(reason, message(reason, &settings));
            return;
        }
        let look_again = if idle.is_zero() { due } else { due.min(now + idle) };
        tokio::select! {
            () = ending.begun().cancelled_owned() => return,
            () = life.nearer.notified() => {}
            () = tokio::time::sleep_until(look_again) => {}
        }
    }
}

/// The nearest deadline, and what it means.
fn next(settings: &Settings, usage: &Use) -> (Instant, Reason) {
    let seconds = |n: u32| Duration::from_secs(n.into());
    let hard = (usage.bound + seconds(settings.timeout_seconds), Reason::TimedOut);
    let connect = (settings.connect_timeout_seconds > 0 && usage.last.is_none())
        .then(|| (usage.bound + seconds(settings.connect_timeout_seconds), Reason::NeverConnected));
    let idle = usage
        .last
        .filter(|_| settings.idle_timeout_seconds > 0 && usage.running == 0)
        .map(|last| (last + seconds(settings.idle_timeout_seconds), Reason::IdleTimeout));
    let left = usage.left.filter(|_| lives_by_its_sockets(settings)).map(|left| {
        // Nobody can come back to a session that only its one socket reached.
        let grace = if left.closed || settings.bidi_only { Duration::ZERO } else { DROPPED_GRACE };
        (left.at + grace, Reason::Disconnected)
    });
    [connect, idle, left]
        .into_iter()
        .flatten()
        .fold(hard, |nearest, other| if other.0 < nearest.0 { other } else { nearest })
}

/// `keepAlive: false` always; absent: only a session that nobody could reach without a socket.
fn lives_by_its_sockets(settings: &Settings) -> bool {
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
        _ => "the session's last socket was closed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::life::Left;

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
        let unused = Use { bound, last: None, running: 0, sockets: 0, left: None };
        let used = Use { last: Some(at(5)), ..unused };
        let dropped = Use { left: Some(Left { at: at(2), closed: false }), ..used };
        let closed = Use { left: Some(Left { at: at(2), closed: true }), ..used };
        let by_sockets = Settings { keep_alive: Some(false), ..settings() };
        let bidi_only = Settings { bidi_only: true, ..settings() };
        let kept = Settings { keep_alive: Some(true), ..bidi_only.clone() };
        let patient =
            Settings { idle_timeout_seconds: 0, connect_timeout_seconds: 0, ..settings() };
        for (settings, usage, due, reason) in [
            (settings(), unused, at(20), Reason::NeverConnected),
            (settings(), used, at(15), Reason::IdleTimeout),
            (settings(), Use { running: 1, ..used }, at(100), Reason::TimedOut),
            (settings(), Use { last: Some(at(95)), ..used }, at(100), Reason::TimedOut),
            (patient.clone(), unused, at(100), Reason::TimedOut),
            (patient, used, at(100), Reason::TimedOut),
            (settings(), closed, at(15), Reason::IdleTimeout),
            (by_sockets.clone(), closed, at(2), Reason::Disconnected),
            (by_sockets, dropped, at(15), Reason::IdleTimeout),
            (bidi_only.clone(), closed, at(2), Reason::Disconnected),
            (bidi_only, dropped, at(2), Reason::Disconnected),
            (kept, closed, at(15), Reason::IdleTimeout),
        ] {
            assert_eq!(next(&settings, &usage), (due, reason), "{settings:?} {usage:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_is_used_is_not_idle() {
        let (life, ending) = (Arc::new(Life::begin(Instant::now())), Ending::default());
        let watching = tokio::spawn(watch(life.clone(), settings(), ending.clone()));
        let begun = Instant::now();
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_secs(8)).await;
            life.touch();
        }
        assert!(!ending.has_begun());
        assert_eq!(ending.wait().await.reason, Reason::IdleTimeout);
        assert_eq!(begun.elapsed().as_secs(), 48 + 10);
        watching.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_command_is_not_idleness() {
        let (life, ending) = (Arc::new(Life::begin(Instant::now())), Ending::default());
        let watching = tokio::spawn(watch(life.clone(), settings(), ending.clone()));
        let begun = Instant::now();
        let command = life.command();
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(command);
        assert_eq!(ending.wait().await.reason, Reason::IdleTimeout);
        assert_eq!(begun.elapsed().as_secs(), 60 + 10);
        watching.await.unwrap();
    }
}
