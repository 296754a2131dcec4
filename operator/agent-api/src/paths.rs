//! Where an agent listens, and the paths and headers of its own API.
//!
//! A connection to an agent begins with [`PROVE_PATH`], by which the agent proves itself, and only then
//! [`AUTHENTICATE_PATH`], by which the caller does: whoever has taken over a pod's address is never shown its token. After
//! both, the controller posts a [`BindRequest`](crate::bind::BindRequest), and the gateway sends WebDriver commands.

/// The port that an agent listens on.
pub const AGENT_PORT: u16 = 4444;
/// `GET` with [`CHALLENGE_HEADER`]: the first request of a connection. Answers 204 with [`PROOF_HEADER`].
pub const PROVE_PATH: &str = "/agent/prove";
/// `GET` with the token as Bearer: the second request of a connection. Answers 204, or 401.
pub const AUTHENTICATE_PATH: &str = "/agent/authenticate";
/// `POST` a [`BindRequest`](crate::bind::BindRequest). Answers 200 with a [`BindReply`](crate::bind::BindReply), or a
/// status with a [`BindRefusal`](crate::bind::BindRefusal).
pub const BIND_PATH: &str = "/agent/bind";
/// `GET` a [`StartReport`](crate::start::StartReport): what a start waits for that has not been answered yet. An agent of the
/// version before answers 404.
pub const START_PATH: &str = "/agent/start";
/// `POST` an [`End`](crate::End). Answers 202, and the agent exits.
pub const END_PATH: &str = "/agent/end";
/// `GET`: a picture of the page that is in front, as JPEG. 404 where there is none to be had.
pub const SCREEN_PATH: &str = "/agent/screen";
/// `POST` an [`Egress`](crate::bind::Egress) to a bound agent: its requests to come go by it. Answers an
/// [`EgressReply`](crate::bind::EgressReply), or 400 and why. An agent of the version before answers 204, or 404.
pub const EGRESS_PATH: &str = "/agent/egress";
/// `GET`: the session's [`Traffic`](crate::traffic::Traffic) so far, as JSON.
pub const TRAFFIC_PATH: &str = "/agent/traffic";
/// `GET`, without a token: 200 while the agent runs.
pub const HEALTH_PATH: &str = "/healthz";
/// The header with the caller's challenge.
pub const CHALLENGE_HEADER: &str = "browser-operator-challenge";
/// The header with the agent's proof.
pub const PROOF_HEADER: &str = "browser-operator-proof";
